//! Any text is a mapping file or a list of errors with places; a file that loads maps any name, and says how.
//!
//! What stands after the last NUL is the name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statsd_relay::model::Kind;
use statsd_relay::model::series::{NameStyle, Spelling};
use statsd_relay::parse;
use statsd_relay::shape::{ShapeConfig, Shaping};

fuzz_target!(|text: &str| {
    let (file, name) = text.rsplit_once('\0').unwrap_or((text, "shop.eu.orders"));
    let config = ShapeConfig { mapping: Some("m.yml".into()), namespace: "ns".into(), ..ShapeConfig::default() };
    match Shaping::new(&config, |_| Ok(file.to_string())) {
        Ok(shaping) => {
            for kind in Kind::ALL {
                let identity = || parse::identity(Spelling { name: name.as_bytes(), tags: b"env:prod,k", kind, style: NameStyle::Plain });
                let shaped = shaping.apply(identity(), kind);
                assert!(shaped.tags.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", shaped.tags);
                let explained = shaping.explain(identity(), kind);
                assert_eq!(explained.dropped_by, shaped.dropped_by);
                assert_eq!(explained.name, shaped.name);
                assert_eq!(explained.steps.iter().map(|step| step.hit).collect::<Vec<_>>(), shaped.hits);
            }
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
});

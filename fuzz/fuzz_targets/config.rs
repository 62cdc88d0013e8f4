//! Any text is a configuration or an error with a place. What loads can be written, and reads back as the same.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use statsd_relay::config;

fuzz_target!(|text: &str| {
    let name = Path::new("relay.yaml");
    match config::parse(name, text) {
        Ok(config) => {
            let written = config::to_yaml(&config);
            if !written.contains("<secret>") {
                assert_eq!(config::parse(name, &written).as_ref(), Ok(&config));
            }
        }
        Err(error) => assert!(!error.errors.is_empty()),
    }
});

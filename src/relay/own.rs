//! The relay's own metrics as samples, so that rules and queries see what the page shows.

use std::collections::HashMap;

use crate::model::{Labels, Recorded, labels};
use crate::telemetry::Telemetry;

/// Reads the self-metrics at each cut. Remembers their labels, which seldom change.
pub(super) struct Own {
    telemetry: Telemetry,
    labels: HashMap<String, Labels>,
}

impl Own {
    pub(super) fn new(telemetry: Telemetry) -> Own {
        Own { telemetry, labels: HashMap::new() }
    }

    /// Every self-metric as of now.
    pub(super) fn samples(&mut self) -> Vec<Recorded> {
        let mut samples = Vec::new();
        for line in self.telemetry.families().into_iter().flat_map(|family| family.lines) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let labels = self.labels.entry(series.to_string()).or_insert_with(|| read(series)).clone();
            samples.push(Recorded { labels, value: Some(value) });
        }
        samples
    }
}

/// `name{a="b",c="d\"e"}` as labels.
fn read(series: &str) -> Labels {
    let (name, mut rest) = series.split_once('{').unwrap_or((series, ""));
    let mut pairs = vec![(labels::NAME.to_string(), name.to_string())];
    while let Some((label, quoted)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let mut end = quoted.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => {}
                },
                _ => value.push(character),
            }
        }
        pairs.push((label.trim_start_matches(',').to_string(), value));
        rest = &quoted[end..];
    }
    Labels::new(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_the_page_writes_them() {
        let read = read(r#"x_total{a="1",path="C:\\d \"q\" \n,=",le="0.5"}"#);
        assert_eq!(read.name(), "x_total");
        assert_eq!((read.get("a"), read.get("path"), read.get("le")), ("1", "C:\\d \"q\" \n,=", "0.5"));
        assert_eq!(super::read("plain").to_string(), "plain");
    }
}

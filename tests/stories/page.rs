//! Samples as a Prometheus page shows them, or as its query API answers them.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// All samples of one page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) samples: Vec<Sample>,
}

impl Page {
    /// Reads the text format 0.0.4; a line that is not of it fails the story.
    pub(crate) fn parse(text: String) -> Page {
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(sample).collect();
        Page { text, samples }
    }

    /// The samples of that name whose labels include `labels`.
    pub(crate) fn select(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let has = |sample: &Sample| labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|found| found == value));
        self.samples.iter().filter(|sample| sample.name == name && has(sample)).collect()
    }

    /// The sum over [`Page::select`]; 0 when there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.select(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// As [`Page::sum`], but `None` when there is no such sample.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        (!self.select(name, labels).is_empty()).then(|| self.sum(name, labels))
    }

    /// The type that the page declares for a family.
    pub(crate) fn kind(&self, family: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(family)?.strip_prefix(' '))
    }
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line:?}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, after) = rest.trim_start_matches(',').split_once("=\"").unwrap_or_else(|| panic!("labels: {line:?}"));
            let (value, after) = label_value(after);
            labels.insert(key.trim().to_string(), value);
            rest = after;
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("value: {line:?}"));
    Sample { name: name.to_string(), labels, value }
}

/// The value up to its closing quote, unescaped, and what follows it.
fn label_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    panic!("a label value does not end: {text:?}")
}

/// The instant vector (or scalar) of an answer of `/api/v1/query`.
pub(crate) fn vector(answer: &str) -> Vec<Sample> {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert_eq!(answer["status"], "success", "{answer}");
    let number = |value: &serde_json::Value| value[1].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{answer}"));
    let data = &answer["data"];
    if data["resultType"] == "scalar" {
        return vec![Sample { name: String::new(), labels: BTreeMap::new(), value: number(&data["result"]) }];
    }
    let rows = data["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
    rows.iter()
        .map(|row| {
            let mut labels: BTreeMap<String, String> = serde_json::from_value(row["metric"].clone()).unwrap();
            let name = labels.remove("__name__").unwrap_or_default();
            Sample { name, labels, value: number(&row["value"]) }
        })
        .collect()
}

#[test]
fn a_page_is_read_as_written() {
    let page = Page::parse("# HELP a x\n# TYPE a counter\na 1\na{b=\"c\\\"}\\\\ \\n\",d=\"\"} 2.5e3\nx{le=\"+Inf\"} +Inf\n".into());
    assert_eq!(page.samples.len(), 3);
    assert_eq!(page.samples[1].labels["b"], "c\"}\\ \n");
    assert_eq!((page.sum("a", &[]), page.sum("a", &[("d", "")]), page.value("none", &[])), (2501.0, 2500.0, None));
    assert_eq!((page.kind("a"), page.kind("b")), (Some("counter"), None));
    assert_eq!(page.sum("x", &[]), f64::INFINITY);
}

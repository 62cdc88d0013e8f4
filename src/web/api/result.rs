//! What an evaluation gave, in the shape of the API.

use super::write::{self, list, string, time, value};
use crate::model::sketch::{ZERO_THRESHOLD, upper_bound};
use crate::model::{ExpHist, Sample, SampleValue, SeriesSlice};
use crate::query::{Value, VectorSample};

/// `{"resultType":...,"result":...}` as of `at_ms`, with at most `limit` series (0: all), and whether some were cut.
pub(super) fn json(answer: &Value, at_ms: i64, limit: usize) -> (String, bool) {
    let mut out = String::from("{\"resultType\":");
    let most = if limit == 0 { usize::MAX } else { limit };
    let series = match answer {
        Value::Scalar(number) => {
            out.push_str("\"scalar\",\"result\":");
            pair(&mut out, at_ms, |out| value(out, *number));
            0
        }
        Value::String(text) => {
            out.push_str("\"string\",\"result\":");
            pair(&mut out, at_ms, |out| string(out, text));
            0
        }
        Value::Vector(samples) => {
            out.push_str("\"vector\",\"result\":");
            list(&mut out, samples.iter().take(most), vector_sample);
            samples.len()
        }
        Value::Matrix(series) => {
            out.push_str("\"matrix\",\"result\":");
            list(&mut out, series.iter().take(most), slice);
            series.len()
        }
    };
    out.push('}');
    (out, series > most)
}

fn pair(out: &mut String, at_ms: i64, second: impl FnOnce(&mut String)) {
    out.push('[');
    time(out, at_ms);
    out.push(',');
    second(out);
    out.push(']');
}

fn vector_sample(out: &mut String, sample: &VectorSample) {
    out.push_str("{\"metric\":");
    write::labels(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(number) => {
            out.push_str(",\"value\":");
            pair(out, sample.at, |out| value(out, *number));
        }
        SampleValue::Histogram(sketch) => {
            out.push_str(",\"histogram\":");
            pair(out, sample.at, |out| histogram(out, sketch));
        }
        // An evaluation gives none.
        SampleValue::Stale => {}
    }
    out.push('}');
}

fn slice(out: &mut String, series: &SeriesSlice) {
    out.push_str("{\"metric\":");
    write::labels(out, &series.labels);
    let floats: Vec<(&Sample, f64)> = series
        .samples
        .iter()
        .filter_map(|sample| match sample.value {
            SampleValue::Float(number) => Some((sample, number)),
            _ => None,
        })
        .collect();
    let sketches: Vec<(&Sample, &ExpHist)> = series
        .samples
        .iter()
        .filter_map(|sample| match &sample.value {
            SampleValue::Histogram(sketch) => Some((sample, sketch.as_ref())),
            _ => None,
        })
        .collect();
    if !floats.is_empty() {
        out.push_str(",\"values\":");
        list(out, floats, |out, (sample, number)| pair(out, sample.at, |out| value(out, number)));
    }
    if !sketches.is_empty() {
        out.push_str(",\"histograms\":");
        list(out, sketches, |out, (sample, sketch)| pair(out, sample.at, |out| histogram(out, sketch)));
    }
    out.push('}');
}

/// `{"count":"..","sum":"..","buckets":[[rule,"lo","hi","n"]]}`, buckets ascending, empty ones left out.
fn histogram(out: &mut String, sketch: &ExpHist) {
    /// Which bounds belong to a bucket.
    const OPEN_LEFT: u8 = 0;
    const OPEN_RIGHT: u8 = 1;
    const CLOSED: u8 = 3;
    let bounds = |index: i32| (upper_bound(index - 1, sketch.schema), upper_bound(index, sketch.schema));
    let negative = sketch.negative.iter().rev().map(|&(index, weight)| {
        let (low, high) = bounds(index);
        (OPEN_RIGHT, -high, -low, weight)
    });
    let zero = [(CLOSED, -ZERO_THRESHOLD, ZERO_THRESHOLD, sketch.zero)];
    let positive = sketch.positive.iter().map(|&(index, weight)| {
        let (low, high) = bounds(index);
        (OPEN_LEFT, low, high, weight)
    });
    out.push_str("{\"count\":");
    value(out, sketch.count);
    out.push_str(",\"sum\":");
    value(out, sketch.sum);
    let mut buckets = negative.chain(zero).chain(positive).filter(|bucket| bucket.3 != 0.0).peekable();
    if buckets.peek().is_some() {
        out.push_str(",\"buckets\":");
        list(out, buckets, |out, (rule, low, high, weight)| {
            out.push_str(&format!("[{rule},"));
            value(out, low);
            out.push(',');
            value(out, high);
            out.push(',');
            value(out, weight);
            out.push(']');
        });
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Labels;

    #[test]
    fn histograms_list_their_buckets_from_low_to_high() {
        let mut sketch = ExpHist { schema: 0, ..ExpHist::default() };
        for number in [-3.0, 0.0, 3.0, 3.5] {
            sketch.record(number, 1.0);
        }
        let labels = Labels::new([("__name__", "x")]);
        let sample = VectorSample { labels, at: 1_500, value: SampleValue::Histogram(Arc::new(sketch)) };
        let (out, _) = json(&Value::Vector(vec![sample]), 0, 0);
        let histogram = r#"{"count":"4","sum":"3.5","buckets":[[1,"-4","-2","1"],[3,"-1e-09","1e-09","1"],[0,"2","4","2"]]}"#;
        let expected = format!(r#"{{"resultType":"vector","result":[{{"metric":{{"__name__":"x"}},"histogram":[1.5,{histogram}]}}]}}"#);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_limit_cuts_series_and_says_so() {
        let series = |name: &str| SeriesSlice {
            labels: Labels::new([("__name__", name)]),
            samples: vec![Sample { at: 1_000, value: SampleValue::Float(f64::INFINITY) }],
            start_time: None,
        };
        let (out, cut) = json(&Value::Matrix(vec![series("a"), series("b")]), 0, 1);
        assert_eq!(out, r#"{"resultType":"matrix","result":[{"metric":{"__name__":"a"},"values":[[1,"+Inf"]]}]}"#);
        assert!(cut);
        assert!(!json(&Value::Matrix(vec![series("a")]), 0, 1).1);
        assert_eq!(json(&Value::Scalar(2.0), 1_001, 1), (r#"{"resultType":"scalar","result":[1.001,"2"]}"#.to_string(), false));
    }
}

//! Numbers and `printf` as Go writes them.

use super::value::Value;

/// Widest field and most digits `printf` gives.
const MAX_WIDTH: usize = 1_000;

/// `%v`: the shortest digits that read back, with an exponent from 1e21 and below 1e-4.
pub(super) fn float(value: f64) -> String {
    if !value.is_finite() {
        return special(value);
    }
    let (mantissa, exponent) = split(&format!("{value:e}"));
    if value == 0.0 || (-4..21).contains(&exponent) { format!("{value}") } else { scientific(&mantissa, exponent) }
}

/// `%.Ng`: N significant digits, without zeros at the end.
pub(super) fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return special(value);
    }
    let digits = digits.max(1);
    let (mantissa, exponent) = split(&format!("{value:.*e}", digits - 1));
    if exponent < -4 || exponent >= digits as i32 {
        return scientific(trimmed(&mantissa), exponent);
    }
    let text = format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize);
    trimmed(&text).to_string()
}

fn special(value: f64) -> String {
    (if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    })
    .to_string()
}

fn split(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa.to_string(), exponent.parse().unwrap_or(0))
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn scientific(mantissa: &str, exponent: i32) -> String {
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Flags, width and precision of one verb.
#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Fills `format` in. Mistakes show in the text, as they do in Go.
pub(super) fn sprintf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (spec, after) = spec(&rest[at + 1..]);
        let Some(verb) = after.chars().next() else {
            out.push_str("%!(NOVERB)");
            return out;
        };
        rest = &after[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        match arguments.next() {
            Some(value) => out.push_str(&padded(&verb_text(verb, &spec, value), &spec)),
            None => out.push_str(&format!("%!{verb}(MISSING)")),
        }
        if out.len() > super::MAX_TEXT {
            return out;
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = arguments.map(|value| format!("{}={value}", value.kind())).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn spec(text: &str) -> (Spec, &str) {
    let mut spec = Spec::default();
    let flags = text.len() - text.trim_start_matches(['-', '+', '0', ' ', '#']).len();
    spec.left = text[..flags].contains('-');
    spec.plus = text[..flags].contains('+');
    spec.zero = text[..flags].contains('0') && !spec.left;
    let (width, mut rest) = count(&text[flags..]);
    spec.width = width;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = count(after);
        spec.precision = Some(precision);
        rest = after;
    }
    (spec, rest)
}

fn count(text: &str) -> (usize, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..digits].parse().unwrap_or(if digits == 0 { 0 } else { MAX_WIDTH }).min(MAX_WIDTH), &text[digits..])
}

fn verb_text(verb: char, spec: &Spec, value: &Value) -> String {
    let signed = |text: String, negative: bool| if spec.plus && !negative { format!("+{text}") } else { text };
    let cut = |text: &str| spec.precision.map_or_else(|| text.to_string(), |most| text.chars().take(most).collect());
    match (verb, value) {
        ('v', Value::Float(number)) => signed(spec.precision.map_or_else(|| float(*number), |most| general(*number, most)), *number < 0.0),
        ('s' | 'v', Value::Text(text)) => cut(text),
        ('v', other) => other.to_string(),
        ('s', Value::Labels(_) | Value::List(_)) => value.to_string(),
        ('q', Value::Text(text)) => format!("{:?}", cut(text)),
        ('d', Value::Int(number)) => signed(number.to_string(), *number < 0),
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('t', Value::Bool(truth)) => truth.to_string(),
        ('f' | 'F' | 'e' | 'g', Value::Float(number)) if !number.is_finite() => special(*number),
        ('f' | 'F', Value::Float(number)) => signed(format!("{number:.*}", spec.precision.unwrap_or(6)), *number < 0.0),
        ('e', Value::Float(number)) => {
            let (mantissa, exponent) = split(&format!("{number:.*e}", spec.precision.unwrap_or(6)));
            signed(scientific(&mantissa, exponent), *number < 0.0)
        }
        ('g', Value::Float(number)) => signed(spec.precision.map_or_else(|| float(*number), |most| general(*number, most)), *number < 0.0),
        (verb, other) => format!("%!{verb}({}={other})", other.kind()),
    }
}

fn padded(text: &str, spec: &Spec) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if spec.left {
        return format!("{text}{}", " ".repeat(missing));
    }
    if spec.zero && text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit()) {
        let sign = text.len() - text.trim_start_matches(['-', '+']).len();
        return format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..]);
    }
    format!("{}{text}", " ".repeat(missing))
}

//! The canonical text of an expression; parsing it again gives the same tree.

use std::fmt::{Display, Formatter, Result, Write};

use super::ast::*;
use super::duration::format_ms;
use crate::model::labels::NAME;
use crate::model::{MatchOp, Matcher};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.root.fmt(f)
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            NodeKind::Number(value) => f.write_str(&number(*value)),
            NodeKind::Text(text) => f.write_str(&quoted(text)),
            NodeKind::Paren(inner) => write!(f, "({inner})"),
            NodeKind::Unary(negative, inner) => write!(f, "{}{inner}", if *negative { '-' } else { '+' }),
            NodeKind::Binary(binary) => binary.fmt(f),
            NodeKind::Aggregate(aggregate) => aggregate.fmt(f),
            NodeKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                list(f, &call.args)?;
                f.write_char(')')
            }
            NodeKind::Selector(selector) => write!(f, "{}{}", Bare(selector), selector.shift),
            NodeKind::Range(range) => write!(f, "{}[{}]{}", Bare(&range.selector), range.range, range.selector.shift),
            NodeKind::Subquery(subquery) => {
                write!(f, "{}[{}:", subquery.inner, subquery.range)?;
                if let Some(step) = &subquery.step {
                    step.fmt(f)?;
                }
                write!(f, "]{}", subquery.shift)
            }
        }
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.left, self.op.as_str())?;
        if self.returns_bool {
            f.write_str(" bool")?;
        }
        let matching = &self.matching;
        if matching.written && (matching.on || !matching.labels.is_empty() || matching.group.is_some()) {
            write!(f, " {} (", if matching.on { "on" } else { "ignoring" })?;
            labels(f, &matching.labels)?;
            f.write_char(')')?;
        }
        if let Some(group) = matching.group {
            write!(f, " {} (", if group == Group::Left { "group_left" } else { "group_right" })?;
            labels(f, &matching.include)?;
            f.write_char(')')?;
        }
        match (matching.fill_left, matching.fill_right) {
            (Some(left), Some(right)) if left == right || left.is_nan() && right.is_nan() => write!(f, " fill ({})", number(left))?,
            (left, right) => {
                for (word, value) in [("fill_left", left), ("fill_right", right)] {
                    if let Some(value) = value {
                        write!(f, " {word} ({})", number(value))?;
                    }
                }
            }
        }
        write!(f, " {}", self.right)
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.op.as_str())?;
        if self.without || !self.labels.is_empty() {
            f.write_str(if self.without { " without (" } else { " by (" })?;
            labels(f, &self.labels)?;
            f.write_str(") ")?;
        }
        f.write_char('(')?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.inner)
    }
}

/// A selector without its shift, which is printed after the range.
struct Bare<'a>(&'a Selector);

impl Display for Bare<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let plain = self.0.name.as_deref().filter(|name| is_metric(name));
        f.write_str(plain.unwrap_or(""))?;
        let mut rest = self.0.matchers.iter().filter(|matcher| !(plain.is_some() && matcher.name == NAME)).peekable();
        if rest.peek().is_none() && plain.is_some() {
            return Ok(());
        }
        f.write_char('{')?;
        for (at, matcher) in rest.enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            match (matcher.name.as_str(), &matcher.op, &self.0.name) {
                (NAME, MatchOp::Equal, Some(name)) => f.write_str(&quoted(name))?,
                _ => write_matcher(f, matcher)?,
            }
        }
        f.write_char('}')
    }
}

fn write_matcher(f: &mut Formatter<'_>, matcher: &Matcher) -> Result {
    let op = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Matches(_) => "=~",
        MatchOp::NotMatches(_) => "!~",
    };
    write!(f, "{}{op}{}", label(&matcher.name), quoted(&matcher.value))
}

impl Display for Shift {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.at {
            Some(At::Time(ms)) => write!(f, " @ {:.3}", ms as f64 / 1_000.0)?,
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            None => {}
        }
        match &self.offset {
            Some(offset @ Length::Pair(op, ..)) if !matches!(op, LengthOp::Min | LengthOp::Max) => write!(f, " offset ({offset})"),
            Some(offset) => write!(f, " offset {offset}"),
            None => Ok(()),
        }
    }
}

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Length::Fixed(seconds) => match self.ms(0, 0) {
                Some(ms) if ms as f64 == seconds * 1_000.0 => f.write_str(&format_ms(ms)),
                _ => f.write_str(&number(*seconds)),
            },
            Length::Step => f.write_str("step()"),
            Length::Range => f.write_str("range()"),
            Length::Paren(inner) => write!(f, "({inner})"),
            Length::Negative(inner) => write!(f, "-{inner}"),
            Length::Pair(op @ (LengthOp::Min | LengthOp::Max), left, right) => write!(f, "{}_of({left}, {right})", op.as_str()),
            Length::Pair(op, left, right) => write!(f, "{left} {} {right}", op.as_str()),
        }
    }
}

fn list(f: &mut Formatter<'_>, nodes: &[Node]) -> Result {
    for (at, node) in nodes.iter().enumerate() {
        write!(f, "{}{node}", if at == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn labels(f: &mut Formatter<'_>, names: &[String]) -> Result {
    for (at, name) in names.iter().enumerate() {
        write!(f, "{}{}", if at == 0 { "" } else { ", " }, label(name))?;
    }
    Ok(())
}

fn label(name: &str) -> String {
    if is_metric(name) && !name.contains(':') { name.to_string() } else { quoted(name) }
}

/// Whether a name can stand without quotes.
fn is_metric(name: &str) -> bool {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let word = name.starts_with(start) && name.chars().all(|c| start(c) || c.is_ascii_digit());
    word && !["inf", "nan"].contains(&name.to_ascii_lowercase().as_str())
}

/// The shortest decimal that reads back equal; exponent form under 1e-4 and from 1e6, as upstream prints it.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{value}")
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

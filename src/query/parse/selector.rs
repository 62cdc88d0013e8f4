//! Series selectors: a name, matchers in braces, or both.

use super::{Parsed, Parser};
use crate::model::Matcher;
use crate::model::labels::NAME;
use crate::query::ast::{Node, NodeKind, Selector, Shift};
use crate::query::error::QueryError;
use crate::query::lex::Token;
use crate::query::selector;

impl Parser<'_> {
    pub(super) fn selector(&mut self, name: Option<String>, start: usize) -> Parsed<Node> {
        let mut selector = Selector { source: self.sources, matchers: Vec::new(), shift: Shift::default(), name: None };
        self.sources += 1;
        let mut quoted = None;
        if self.is_sign("{") {
            self.at += 1;
            while !self.is_sign("}") {
                self.matcher(&mut selector.matchers, &mut quoted)?;
                if !self.is_sign(",") {
                    break;
                }
                self.at += 1;
            }
            self.expect("}", "in label matching")?;
        }
        let span = start..self.previous_end();
        if let (Some(name), Some(quoted)) = (&name, &quoted) {
            return Err(QueryError::parse(self.text, span, format_args!("metric name must not be set twice: {name:?} or {quoted:?}")));
        }
        selector.name = name.or(quoted);
        if let Some(name) = &selector.name {
            if let Some(other) = selector.matchers.iter().find(|matcher| matcher.name == NAME) {
                let message = format!("metric name must not be set twice: {name:?} or {:?}", other.value);
                return Err(QueryError::parse(self.text, span, message));
            }
            selector.matchers.insert(0, selector::named(name));
        }
        if selector.matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(QueryError::parse(self.text, span, "vector selector must contain at least one non-empty matcher"));
        }
        self.node(NodeKind::Selector(selector), span, 0)
    }

    fn matcher(&mut self, matchers: &mut Vec<Matcher>, quoted: &mut Option<String>) -> Parsed<()> {
        const CONTEXT: &str = "in label matching";
        let (label, is_text) = match self.next() {
            Token::Word(label) if !label.contains(':') => (label, false),
            Token::Text(label) => (label, true),
            _ => {
                self.at -= 1;
                return Err(self.unexpected(CONTEXT, "identifier or \"}\""));
            }
        };
        let label_at = self.at - 1;
        let Token::Sign(op @ ("=" | "!=" | "=~" | "!~")) = *self.peek() else {
            if is_text && quoted.is_none() && (self.is_sign(",") || self.is_sign("}")) {
                *quoted = Some(label);
                return Ok(());
            }
            return Err(self.unexpected(CONTEXT, "label matching operator"));
        };
        self.at += 1;
        let Token::Text(value) = self.next() else {
            self.at -= 1;
            return Err(self.unexpected(CONTEXT, "string"));
        };
        let span = self.tokens[label_at].span.start..self.previous_end();
        matchers.push(selector::matcher(label, op, value).map_err(|why| QueryError::parse(self.text, span, why))?);
        Ok(())
    }
}

//! Looking at tokens and taking them.

use std::ops::Range;

use super::{Parsed, Parser};
use crate::query::error::QueryError;
use crate::query::lex::{Spanned, Token};

impl Parser<'_> {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.tokens[self.at].span.clone()
    }

    pub(super) fn here(&self) -> &str {
        &self.text[self.span()]
    }

    pub(super) fn previous_end(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].span.end
    }

    /// Takes a token; a caller that refuses it steps back. The end is never passed.
    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token == Token::End {
            self.tokens.push(Spanned { token: Token::End, span: self.text.len()..self.text.len() });
        }
        self.at += 1;
        token
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(have) if *have == sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(have) if have.eq_ignore_ascii_case(word))
    }

    pub(super) fn expect(&mut self, sign: &'static str, context: &str) -> Parsed<()> {
        if !self.is_sign(sign) {
            return Err(self.unexpected(context, &format!("{sign:?}")));
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn unexpected(&self, context: &str, expected: &str) -> QueryError {
        let found = match self.peek() {
            Token::End => "end of input".to_string(),
            _ => format!("{:?}", self.here()),
        };
        let mut message = format!("unexpected {found}");
        if !context.is_empty() {
            message.push_str(&format!(" {context}"));
        }
        if !expected.is_empty() {
            message.push_str(&format!(", expected {expected}"));
        }
        QueryError::parse(self.text, self.span(), message)
    }
}

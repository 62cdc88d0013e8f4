//! Durations: of ranges and subqueries, after `offset`, and the arithmetic between them; times after `@`.

use std::ops::Range;

use super::{MAX_LENGTH_OPS, Parsed, Parser};
use crate::query::ast::{At, Length, LengthOp};
use crate::query::error::QueryError;
use crate::query::lex::Token;

impl Parser<'_> {
    pub(super) fn positive(&self, length: &Length, span: Range<usize>) -> Parsed<()> {
        match length.ms(0, 0) {
            _ if !length.is_fixed() => Ok(()),
            Some(ms) if ms > 0 => Ok(()),
            Some(_) => Err(QueryError::parse(self.text, span, "duration must be greater than 0")),
            None => Err(QueryError::parse(self.text, span, "duration out of range")),
        }
    }

    /// A length with operators that bind at least as tightly as `floor`.
    pub(super) fn length(&mut self, floor: u8) -> Parsed<Length> {
        self.deeper(|parser| {
            let mut left = parser.leading_length()?;
            loop {
                let (op, precedence) = match parser.peek() {
                    Token::Sign("+") => (LengthOp::Add, 1),
                    Token::Sign("-") => (LengthOp::Sub, 1),
                    Token::Sign("*") => (LengthOp::Mul, 2),
                    Token::Sign("/") => (LengthOp::Div, 2),
                    Token::Sign("%") => (LengthOp::Mod, 2),
                    Token::Sign("^") => (LengthOp::Pow, 3),
                    _ => return Ok(left),
                };
                if precedence < floor {
                    return Ok(left);
                }
                parser.length_ops += 1;
                if parser.length_ops > MAX_LENGTH_OPS {
                    return Err(parser.too_deep());
                }
                parser.at += 1;
                let right = parser.length(precedence + u8::from(op != LengthOp::Pow))?;
                left = Length::Pair(op, Box::new(left), Box::new(right));
            }
        })
    }

    /// In an expression a sign covers powers: `-2 ^ 2` is -4.
    fn leading_length(&mut self) -> Parsed<Length> {
        let negative = self.is_sign("-");
        if !negative && !self.is_sign("+") {
            return self.single_length();
        }
        self.at += 1;
        let inner = self.length(3)?;
        Ok(if negative { negated(inner) } else { inner })
    }

    /// After `offset` a sign covers one operand.
    pub(super) fn signed_length(&mut self) -> Parsed<Length> {
        match self.peek() {
            Token::Sign("-") => {
                self.at += 1;
                Ok(negated(self.deeper(Self::signed_length)?))
            }
            Token::Sign("+") => {
                self.at += 1;
                self.deeper(Self::signed_length)
            }
            _ => self.single_length(),
        }
    }

    fn single_length(&mut self) -> Parsed<Length> {
        match self.next() {
            Token::Number(seconds) | Token::Duration(seconds) if seconds.is_finite() => Ok(Length::Fixed(seconds)),
            Token::Sign("(") => {
                let inner = self.length(0)?;
                self.expect(")", "in duration expression")?;
                Ok(Length::Paren(Box::new(inner)))
            }
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "step" => self.no_arguments().map(|()| Length::Step),
                "range" => self.no_arguments().map(|()| Length::Range),
                "min_of" => self.two_lengths(LengthOp::Min),
                "max_of" => self.two_lengths(LengthOp::Max),
                _ => {
                    self.at -= 1;
                    Err(self.unexpected("in duration expression", "number, duration, step(), range(), min_of() or max_of()"))
                }
            },
            _ => {
                self.at -= 1;
                Err(self.unexpected("in duration expression", "number, duration, step(), range(), min_of() or max_of()"))
            }
        }
    }

    fn two_lengths(&mut self, op: LengthOp) -> Parsed<Length> {
        self.expect("(", "in duration expression")?;
        let left = self.length(0)?;
        self.expect(",", "in duration expression")?;
        let right = self.length(0)?;
        self.expect(")", "in duration expression")?;
        Ok(Length::Pair(op, Box::new(left), Box::new(right)))
    }

    pub(super) fn no_arguments(&mut self) -> Parsed<()> {
        self.expect("(", "in duration expression")?;
        self.expect(")", "in duration expression")
    }

    /// What follows `@`.
    pub(super) fn time(&mut self) -> Parsed<At> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.is_word(word) {
                self.at += 1;
                self.no_arguments()?;
                return Ok(at);
            }
        }
        let span = self.span();
        let ms = (self.signed_number()? * 1_000.0).round();
        if !ms.is_finite() || ms.abs() >= 9e15 {
            return Err(QueryError::parse(self.text, span, format_args!("timestamp out of bounds for @ modifier: {}", ms / 1_000.0)));
        }
        Ok(At::Time(ms as i64))
    }
}

fn negated(length: Length) -> Length {
    match length {
        Length::Fixed(seconds) => Length::Fixed(-seconds),
        other => Length::Negative(Box::new(other)),
    }
}

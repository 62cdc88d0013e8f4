//! Text to tokens.

use std::ops::Range;

use super::duration;
use super::error::QueryError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name or keyword; which of them only the place tells.
    Word(String),
    Number(f64),
    /// A number with units, in seconds.
    Duration(f64),
    Text(String),
    /// Punctuation and operators.
    Sign(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) span: Range<usize>,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 27] = [
    "==", "=~", "!=", "!~", "<=", ">=", "</", ">/", "<", ">", "=", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[", "]", ",", ":",
    "@", ";",
];

/// All tokens; the last is [`Token::End`].
pub(crate) fn lex(text: &str) -> Result<Vec<Spanned>, QueryError> {
    let mut lexer = Lexer { text, at: 0, brackets: 0 };
    let mut tokens = Vec::new();
    loop {
        let next = lexer.next()?;
        let done = next.token == Token::End;
        tokens.push(next);
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Between brackets a colon separates range and step; elsewhere it may be part of a name.
    brackets: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Spanned, QueryError> {
        self.skip_space();
        let (start, rest) = (self.at, &self.text[self.at..]);
        let Some(first) = rest.chars().next() else {
            return Ok(Spanned { token: Token::End, span: start..start });
        };
        let second = rest.as_bytes().get(1).copied().unwrap_or(0);
        let token = if first == '"' || first == '\'' || first == '`' {
            self.quoted(first)?
        } else if first.is_ascii_digit() || first == '.' && second.is_ascii_digit() {
            self.number()?
        } else if first.is_ascii_alphabetic() || first == '_' || first == ':' && self.brackets == 0 {
            self.word()
        } else {
            self.sign(first)?
        };
        Ok(Spanned { token, span: start..self.at })
    }

    fn skip_space(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'#' => self.at += bytes[self.at..].iter().position(|&b| b == b'\n').unwrap_or(bytes.len() - self.at),
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => return,
            }
        }
    }

    fn word(&mut self) -> Token {
        let colon = self.brackets == 0;
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':' && colon)).unwrap_or(rest.len());
        self.at += end;
        let word = &rest[..end];
        match word.to_ascii_lowercase().as_str() {
            "inf" => Token::Number(f64::INFINITY),
            "nan" => Token::Number(f64::NAN),
            _ => Token::Word(word.to_string()),
        }
    }

    fn sign(&mut self, first: char) -> Result<Token, QueryError> {
        let rest = &self.text[self.at..];
        let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
            return Err(self.error(first.len_utf8(), format!("unexpected character: {first:?}")));
        };
        match *sign {
            "[" => self.brackets += 1,
            "]" => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.at += sign.len();
        Ok(Token::Sign(sign))
    }

    fn number(&mut self) -> Result<Token, QueryError> {
        let rest = &self.text[self.at..];
        let bytes = rest.as_bytes();
        let colon = self.brackets == 0;
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            let exponent_sign = matches!(byte, b'+' | b'-')
                && matches!(bytes[end - 1], b'e' | b'E')
                && !rest.starts_with("0x")
                && !rest.starts_with("0X")
                && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            if !(byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || byte == b':' && colon || exponent_sign) {
                break;
            }
            end += 1;
        }
        let literal = &rest[..end];
        let token = match number(literal) {
            Some(value) => Some(Token::Number(value)),
            None => duration::parse_seconds(literal).map(Token::Duration),
        };
        match token {
            Some(token) => {
                self.at += end;
                Ok(token)
            }
            None => Err(self.error(end, format!("bad number or duration syntax: {literal:?}"))),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, QueryError> {
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find_map(|(at, c)| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped && quote != '`';
            closes.then_some(at)
        });
        let Some(end) = end else {
            return Err(self.error(rest.len(), "unterminated quoted string"));
        };
        let inner = &rest[1..end];
        if quote != '`' && inner.contains('\n') {
            return Err(self.error(end, "unterminated quoted string"));
        }
        let value = if quote == '`' { Some(inner.to_string()) } else { unescape(inner) };
        match value {
            Some(value) => {
                self.at += end + 1;
                Ok(Token::Text(value))
            }
            None => Err(self.error(end + 1, format!("invalid escape sequence in {}", &rest[..=end]))),
        }
    }

    fn error(&self, length: usize, message: impl std::fmt::Display) -> QueryError {
        QueryError::parse(self.text, self.at..self.at + length, message)
    }
}

/// A number as PromQL writes it: decimal, with exponent, or hexadecimal.
pub(crate) fn number(literal: &str) -> Option<f64> {
    let lower = literal.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(|value| value as f64);
    }
    if lower.starts_with('_') || lower.ends_with('_') || lower.contains("__") {
        return None;
    }
    let plain = lower.replace('_', "");
    let digits = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
    if digits { plain.parse().ok() } else { None }
}

/// Resolves the escapes of a Go string; `None` when one is malformed.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((_, c)) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (at, kind) = chars.next()?;
        let mut take = |start: usize, length: usize, radix: u32| {
            let value = u32::from_str_radix(text.get(start..start + length)?, radix).ok()?;
            for _ in 0..length - usize::from(start == at) {
                chars.next();
            }
            Some(value)
        };
        match kind {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            '\\' | '\'' | '"' => out.push(kind as u8),
            'x' => out.push(take(at + 1, 2, 16)? as u8),
            'u' => out.extend_from_slice(char::from_u32(take(at + 1, 4, 16)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            'U' => out.extend_from_slice(char::from_u32(take(at + 1, 8, 16)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            '0'..='7' => out.push(u8::try_from(take(at, 3, 8)?).ok()?),
            _ => return None,
        }
    }
    String::from_utf8(out).ok()
}

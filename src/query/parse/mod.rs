//! Tokens to a checked tree: recursive descent, precedence climbing for operators.

mod cursor;
mod length;
mod selector;

use std::ops::Range;

use super::ast::*;
use super::error::QueryError;
use super::lex::{Spanned, Token, lex};
use super::{check, functions};

/// Longest text that is read.
const MAX_LENGTH: usize = 64 * 1024;
/// Deepest tree and deepest recursion.
const MAX_DEPTH: usize = 128;
/// Operators in all durations of a query; bounds the depth of their trees too.
const MAX_LENGTH_OPS: usize = 512;

/// Parses and checks a query of at most 64 KiB and 128 levels.
///
/// Messages begin with `line:column: parse error: `.
pub fn parse(text: &str) -> Result<Expr, QueryError> {
    if text.len() > MAX_LENGTH {
        return Err(QueryError::parse(text, 0..0, format!("the query is longer than {MAX_LENGTH} bytes")));
    }
    let mut parser = Parser { text, tokens: lex(text)?, at: 0, depth: 0, sources: 0, length_ops: 0 };
    if parser.peek() == &Token::End {
        return Err(QueryError::parse(text, 0..0, "no expression found in input"));
    }
    let root = parser.expression(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("", "end of input"));
    }
    Ok(Expr { text: text.to_string(), root, sources: parser.sources })
}

/// Parses a series selector and nothing else.
pub(super) fn parse_selector(text: &str) -> Result<Selector, QueryError> {
    let expr = parse(text)?;
    match expr.root.kind {
        NodeKind::Selector(selector) if selector.shift.offset.is_none() && selector.shift.at.is_none() => Ok(selector),
        _ => Err(QueryError::parse(text, 0..text.len(), "expected a series selector")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
    sources: usize,
    length_ops: usize,
}

type Parsed<T> = Result<T, QueryError>;

impl Parser<'_> {
    /// An expression whose operators bind at least as tightly as `floor`.
    fn expression(&mut self, floor: u8) -> Parsed<Node> {
        self.deeper(|parser| {
            let mut left = parser.unary()?;
            while let Some(op) = parser.binary_op().filter(|op| op.precedence() >= floor) {
                let at = parser.span();
                parser.at += 1;
                let (returns_bool, matching) = parser.modifiers()?;
                let right = parser.expression(op.precedence() + u8::from(op != BinaryOp::Pow))?;
                let span = left.span.start..right.span.end;
                let height = left.height.max(right.height);
                let mut binary = Binary { op, left, right, returns_bool, matching };
                check::binary(parser.text, at, &mut binary)?;
                left = parser.node(NodeKind::Binary(Box::new(binary)), span, height)?;
            }
            Ok(left)
        })
    }

    fn unary(&mut self) -> Parsed<Node> {
        let start = self.span().start;
        let negative = match self.peek() {
            Token::Sign("-") => true,
            Token::Sign("+") => false,
            _ => return self.postfix(),
        };
        self.at += 1;
        let inner = self.expression(BinaryOp::Pow.precedence())?;
        check::unary(self.text, &inner)?;
        let (span, height) = (start..inner.span.end, inner.height);
        match inner.kind {
            NodeKind::Number(value) => self.node(NodeKind::Number(if negative { -value } else { value }), span, 0),
            _ => self.node(NodeKind::Unary(negative, Box::new(inner)), span, height),
        }
    }

    fn postfix(&mut self) -> Parsed<Node> {
        let mut node = self.primary()?;
        loop {
            if self.is_sign("[") {
                node = self.brackets(node)?;
            } else if self.is_word("offset") {
                self.at += 1;
                let offset = self.signed_length()?;
                let span = node.span.start..self.previous_end();
                let shift = self.shift_of(&mut node, "offset")?;
                if shift.offset.replace(offset).is_some() {
                    return Err(QueryError::parse(self.text, span, "offset may not be set multiple times"));
                }
                node.span = span;
            } else if self.is_sign("@") {
                self.at += 1;
                let at = self.time()?;
                let span = node.span.start..self.previous_end();
                let shift = self.shift_of(&mut node, "@")?;
                if shift.at.replace(at).is_some() {
                    return Err(QueryError::parse(self.text, span, "@ <timestamp> may not be set multiple times"));
                }
                node.span = span;
            } else if self.is_word("anchored") || self.is_word("smoothed") {
                return Err(QueryError::unsupported(self.text, self.span(), format_args!("the modifier {:?}", self.here())));
            } else {
                return Ok(node);
            }
        }
    }

    fn shift_of<'n>(&self, node: &'n mut Node, what: &str) -> Parsed<&'n mut Shift> {
        let span = node.span.clone();
        match &mut node.kind {
            NodeKind::Selector(selector) => Ok(&mut selector.shift),
            NodeKind::Range(range) => Ok(&mut range.selector.shift),
            NodeKind::Subquery(subquery) => Ok(&mut subquery.shift),
            _ => Err(QueryError::parse(
                self.text,
                span,
                format_args!("{what} modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
            )),
        }
    }

    fn primary(&mut self) -> Parsed<Node> {
        let Spanned { token, span } = self.tokens[self.at].clone();
        match token {
            Token::Number(value) | Token::Duration(value) => {
                self.at += 1;
                self.node(NodeKind::Number(value), span, 0)
            }
            Token::Text(value) => {
                self.at += 1;
                self.node(NodeKind::Text(value), span, 0)
            }
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.expect(")", "in paren expression")?;
                let height = inner.height;
                self.node(NodeKind::Paren(Box::new(inner)), span.start..self.previous_end(), height)
            }
            Token::Sign("{") => self.selector(None, span.start),
            Token::Word(word) => self.word(word, span),
            _ => Err(self.unexpected("", "")),
        }
    }

    fn word(&mut self, word: String, span: Range<usize>) -> Parsed<Node> {
        self.at += 1;
        if let Some(op) = AggregateOp::named(&word)
            && (self.is_sign("(") || self.is_word("by") || self.is_word("without"))
        {
            return self.aggregate(op, span.start);
        }
        if self.is_sign("(") {
            return self.call(&word, span);
        }
        self.selector(Some(word), span.start)
    }

    fn call(&mut self, name: &str, span: Range<usize>) -> Parsed<Node> {
        let Some(function) = functions::named(name) else {
            return Err(match functions::is_known_elsewhere(name) {
                true => QueryError::unsupported(self.text, span, format_args!("the function {name:?}")),
                false => QueryError::parse(self.text, span, format_args!("unknown function with name {name:?}")),
            });
        };
        let args = self.arguments("in argument list")?;
        check::call(self.text, span.start..self.previous_end(), function, &args)?;
        let height = args.iter().map(|arg| arg.height).max().unwrap_or(0);
        self.node(NodeKind::Call(Call { function, args }), span.start..self.previous_end(), height)
    }

    fn arguments(&mut self, context: &str) -> Parsed<Vec<Node>> {
        self.expect("(", context)?;
        let mut args = Vec::new();
        while !self.is_sign(")") {
            args.push(self.expression(0)?);
            if !self.is_sign(",") {
                break;
            }
            self.at += 1;
            if self.is_sign(")") {
                return Err(QueryError::parse(self.text, self.span(), "trailing commas not allowed in function call args"));
            }
        }
        self.expect(")", context)?;
        Ok(args)
    }

    fn aggregate(&mut self, op: AggregateOp, start: usize) -> Parsed<Node> {
        let mut grouping = self.grouping()?;
        let mut args = self.arguments("in aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = start..self.previous_end();
        let expected = 1 + usize::from(op.param().is_some());
        if args.is_empty() {
            return Err(QueryError::parse(self.text, span, "no arguments for aggregate expression provided"));
        }
        if args.len() != expected {
            let message = format!("wrong number of arguments for aggregate expression provided, expected {expected}, got {}", args.len());
            return Err(QueryError::parse(self.text, span, message));
        }
        let height = args.iter().map(|arg| arg.height).max().unwrap_or(0);
        let Some(inner) = args.pop() else { return Err(self.unexpected("in aggregation", "")) };
        let (without, labels) = grouping.unwrap_or_default();
        let aggregate = Aggregate { op, param: args.pop(), inner, without, labels };
        check::aggregate(self.text, &aggregate)?;
        self.node(NodeKind::Aggregate(Box::new(aggregate)), span, height)
    }

    fn grouping(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some((without, self.labels()?)))
    }

    /// `(a, b, "c d")`, a trailing comma allowed.
    fn labels(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "in grouping opts";
        self.expect("(", CONTEXT)?;
        let mut labels = Vec::new();
        while !self.is_sign(")") {
            match self.next() {
                Token::Word(label) if !label.contains(':') => labels.push(label),
                Token::Text(label) if !label.is_empty() => labels.push(label),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected(CONTEXT, "label"));
                }
            }
            if !self.is_sign(",") {
                break;
            }
            self.at += 1;
        }
        self.expect(")", CONTEXT)?;
        Ok(labels)
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        use BinaryOp::*;
        Some(match self.peek() {
            Token::Sign(sign) => match *sign {
                "==" => Equal,
                "!=" => NotEqual,
                "<" => Less,
                ">" => Greater,
                "<=" => LessEqual,
                ">=" => GreaterEqual,
                "</" => TrimUpper,
                ">/" => TrimLower,
                "+" => Add,
                "-" => Sub,
                "*" => Mul,
                "/" => Div,
                "%" => Mod,
                "^" => Pow,
                _ => return None,
            },
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "or" => Or,
                "and" => And,
                "unless" => Unless,
                "atan2" => Atan2,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn modifiers(&mut self) -> Parsed<(bool, Matching)> {
        let returns_bool = self.is_word("bool");
        self.at += usize::from(returns_bool);
        let mut matching = Matching { on: self.is_word("on"), ..Matching::default() };
        if matching.on || self.is_word("ignoring") {
            self.at += 1;
            matching.written = true;
            matching.labels = self.labels()?;
        }
        for (word, group) in [("group_left", Group::Left), ("group_right", Group::Right)] {
            if self.is_word(word) && matching.group.is_none() {
                self.at += 1;
                matching.group = Some(group);
                if self.is_sign("(") {
                    matching.include = self.labels()?;
                }
            }
        }
        while let Some((left, right)) = self.fill_sides() {
            self.at += 1;
            self.expect("(", "in fill modifier")?;
            let value = self.signed_number()?;
            self.expect(")", "in fill modifier")?;
            if left {
                matching.fill_left = Some(value);
            }
            if right {
                matching.fill_right = Some(value);
            }
        }
        Ok((returns_bool, matching))
    }

    /// Which sides a fill modifier here is for; none when what follows is a metric of that name.
    fn fill_sides(&self) -> Option<(bool, bool)> {
        if self.tokens.get(self.at + 1).map(|next| &next.token) != Some(&Token::Sign("(")) {
            return None;
        }
        [("fill", (true, true)), ("fill_left", (true, false)), ("fill_right", (false, true))]
            .into_iter()
            .find_map(|(word, sides)| self.is_word(word).then_some(sides))
    }

    fn signed_number(&mut self) -> Parsed<f64> {
        let negative = self.is_sign("-");
        self.at += usize::from(negative || self.is_sign("+"));
        match self.next() {
            Token::Number(value) | Token::Duration(value) => Ok(if negative { -value } else { value }),
            _ => {
                self.at -= 1;
                Err(self.unexpected("", "number"))
            }
        }
    }

    fn brackets(&mut self, inner: Node) -> Parsed<Node> {
        self.at += 1;
        let range_at = self.span();
        let range = self.length(0)?;
        self.positive(&range, range_at)?;
        if !self.is_sign(":") {
            self.expect("]", "in range or subquery selector")?;
            let span = inner.span.start..self.previous_end();
            let NodeKind::Selector(selector) = inner.kind else {
                return Err(QueryError::parse(self.text, span, "ranges only allowed for vector selectors"));
            };
            for (set, what) in [(selector.shift.offset.is_some(), "offset"), (selector.shift.at.is_some(), "@")] {
                if set {
                    return Err(QueryError::parse(self.text, span, format_args!("no {what} modifiers allowed before range")));
                }
            }
            return self.node(NodeKind::Range(Box::new(RangeSelector { selector, range })), span, 0);
        }
        self.at += 1;
        let step_at = self.span();
        let step = if self.is_sign("]") { None } else { Some(self.length(0)?) };
        if let Some(step) = &step {
            self.positive(step, step_at)?;
        }
        self.expect("]", "in subquery selector")?;
        check::subquery(self.text, &inner)?;
        let (span, height) = (inner.span.start..self.previous_end(), inner.height);
        let subquery = Subquery { source: self.sources, inner, range, step, shift: Shift::default() };
        self.sources += 1;
        self.node(NodeKind::Subquery(Box::new(subquery)), span, height)
    }

    fn node(&self, kind: NodeKind, span: Range<usize>, below: usize) -> Parsed<Node> {
        if below >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        Ok(Node { kind, span, height: below + 1 })
    }

    fn deeper<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let parsed = rule(self);
        self.depth -= 1;
        parsed
    }

    fn too_deep(&self) -> QueryError {
        QueryError::parse(self.text, self.span(), format_args!("the expression is nested more than {MAX_DEPTH} levels deep"))
    }
}

//! Text to a tree: actions, pipelines, operands.

use super::functions;
use super::value::Value;

/// Deepest nesting of blocks and parentheses.
const MAX_DEPTH: usize = 32;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Pipe(Pipe),
    If {
        arms: Vec<(Pipe, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    /// The dot becomes the pipe's value.
    With {
        arms: Vec<(Pipe, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    Range {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

/// Commands of which each gets the value of the one before as its last argument.
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    /// Variables that get the value, as `$x`; printed only when there are none.
    pub(super) targets: Vec<String>,
    /// `:=` rather than `=`.
    pub(super) declares: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Literal(Value),
    Function(&'static functions::Function),
    Paren(Box<Pipe>),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let variables = ["$", "$labels", "$value", "$externalLabels", "$externalURL"].map(String::from).to_vec();
    let mut parser = Parser { text, at: 0, trim: false, variables, loops: 0 };
    let (nodes, end) = parser.block(0)?;
    match end {
        Stop::Text => Ok(nodes),
        Stop::Else(_) => Err("an else without its if".into()),
        Stop::End => Err("an end without its beginning".into()),
    }
}

/// What ended a block.
enum Stop {
    Text,
    End,
    /// With `if` or `with` directly behind it.
    Else(Option<&'static str>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Whether the last action ended with `-}}`.
    trim: bool,
    variables: Vec<String>,
    loops: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong<T>(&self, message: impl std::fmt::Display) -> Result<T, String> {
        Err(format!("{message} (at byte {})", self.at))
    }

    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, Stop), String> {
        if depth > MAX_DEPTH {
            return self.wrong(format_args!("nested deeper than {MAX_DEPTH} levels"));
        }
        let mut nodes = Vec::new();
        loop {
            if !self.literal(&mut nodes) {
                return Ok((nodes, Stop::Text));
            }
            if self.comment()? {
                continue;
            }
            let start = self.at;
            match self.word() {
                "end" => {
                    self.close()?;
                    return Ok((nodes, Stop::End));
                }
                "else" => {
                    let chained = match self.word() {
                        "" => None,
                        "if" => Some("if"),
                        "with" => Some("with"),
                        other => return self.wrong(format_args!("unexpected {other:?} behind else")),
                    };
                    if chained.is_none() {
                        self.close()?;
                    }
                    return Ok((nodes, Stop::Else(chained)));
                }
                keyword @ ("if" | "with") => nodes.push(self.branch(keyword, depth)?),
                "range" => nodes.push(self.range(depth)?),
                word @ ("break" | "continue") => {
                    if self.loops == 0 {
                        return self.wrong(format_args!("{word} outside of range"));
                    }
                    self.close()?;
                    nodes.push(if word == "break" { Node::Break } else { Node::Continue });
                }
                word @ ("define" | "template" | "block") => return self.wrong(format_args!("{word} is not supported")),
                _ => {
                    self.at = start;
                    let pipe = self.pipe(depth, false)?;
                    self.close()?;
                    nodes.push(Node::Pipe(pipe));
                }
            }
        }
    }

    /// Takes text up to the next action. False when there is none.
    fn literal(&mut self, nodes: &mut Vec<Node>) -> bool {
        let rest = self.rest();
        let (text, found) = rest.find("{{").map_or((rest, false), |at| (&rest[..at], true));
        self.at += text.len() + if found { 2 } else { 0 };
        let mut text = if self.trim { text.trim_start_matches(SPACE) } else { text };
        let after = self.rest();
        if found && after.starts_with('-') && after[1..].starts_with(SPACE) {
            text = text.trim_end_matches(SPACE);
            self.at += 1;
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text.to_string()));
        }
        found
    }

    fn comment(&mut self) -> Result<bool, String> {
        let spaces = self.rest().len() - self.rest().trim_start_matches(SPACE).len();
        if !self.rest()[spaces..].starts_with("/*") {
            return Ok(false);
        }
        let Some(end) = self.rest().find("*/") else { return self.wrong("a comment without its end") };
        self.at += end + 2;
        self.close()?;
        Ok(true)
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(SPACE).len();
    }

    /// Takes `}}` or ` -}}`.
    fn close(&mut self) -> Result<(), String> {
        self.skip_space();
        self.trim = self.text[..self.at].ends_with(SPACE) && self.rest().starts_with("-}}");
        let close = if self.trim { "-}}" } else { "}}" };
        if !self.rest().starts_with(close) {
            let found: String = self.rest().chars().take(12).collect();
            return if found.is_empty() {
                self.wrong("an action without its }}")
            } else {
                self.wrong(format_args!("unexpected {found:?}"))
            };
        }
        self.at += close.len();
        Ok(())
    }

    /// Takes a word, or nothing.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn branch(&mut self, keyword: &str, depth: usize) -> Result<Node, String> {
        let scope = self.variables.len();
        let mut arms = Vec::new();
        let otherwise = loop {
            let pipe = self.pipe(depth, false)?;
            self.close()?;
            let inner = self.variables.len();
            let (body, end) = self.block(depth + 1)?;
            self.variables.truncate(inner);
            arms.push((pipe, body));
            match end {
                Stop::End => break Vec::new(),
                Stop::Else(Some(chained)) if chained == keyword => {}
                Stop::Else(Some(chained)) => return self.wrong(format_args!("else {chained} behind {keyword}")),
                Stop::Else(None) => break self.last_block(depth)?,
                Stop::Text => return self.wrong(format_args!("{keyword} without its end")),
            }
        };
        self.variables.truncate(scope);
        Ok(if keyword == "if" { Node::If { arms, otherwise } } else { Node::With { arms, otherwise } })
    }

    fn last_block(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        let scope = self.variables.len();
        let (body, end) = self.block(depth + 1)?;
        self.variables.truncate(scope);
        match end {
            Stop::End => Ok(body),
            _ => self.wrong("else without its end"),
        }
    }

    fn range(&mut self, depth: usize) -> Result<Node, String> {
        let scope = self.variables.len();
        let pipe = self.pipe(depth, true)?;
        self.close()?;
        self.loops += 1;
        let (body, end) = self.block(depth + 1)?;
        self.loops -= 1;
        self.variables.truncate(scope);
        let otherwise = match end {
            Stop::End => Vec::new(),
            Stop::Else(None) => self.last_block(depth)?,
            _ => return self.wrong("range without its end"),
        };
        Ok(Node::Range { pipe, body, otherwise })
    }

    /// `[$x [, $y] :=] command | command`
    fn pipe(&mut self, depth: usize, ranges: bool) -> Result<Pipe, String> {
        let (targets, declares) = self.targets(ranges)?;
        let mut commands = vec![self.command(depth)?];
        while self.eat("|") {
            commands.push(self.command(depth)?);
        }
        if let Some(late) = commands[1..].iter().find(|command| !matches!(command[0].base, Base::Function(_))) {
            return self.wrong(format_args!("{:?} is no function and takes no value from a pipe", late[0].base));
        }
        if declares {
            self.variables.extend(targets.iter().cloned());
        } else if let Some(unknown) = targets.iter().find(|name| !self.variables.contains(name)) {
            return self.wrong(format_args!("undefined variable {unknown}"));
        }
        Ok(Pipe { targets, declares, commands })
    }

    fn targets(&mut self, ranges: bool) -> Result<(Vec<String>, bool), String> {
        let start = self.at;
        let mut targets = Vec::new();
        while self.eat("$") {
            targets.push(format!("${}", if self.rest().starts_with(SPACE) { "" } else { self.word() }));
            if self.eat(":=") || self.eat("=") {
                let declares = self.text[..self.at].ends_with(":=");
                if targets.len() > if ranges { 2 } else { 1 } {
                    return self.wrong("too many variables before the =");
                }
                return Ok((targets, declares));
            }
            if !self.eat(",") {
                break;
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn command(&mut self, depth: usize) -> Result<Vec<Operand>, String> {
        let mut operands: Vec<Operand> = Vec::new();
        loop {
            self.skip_space();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with(['|', ')']) || rest.starts_with("}}") || rest.starts_with("-}}") {
                break;
            }
            operands.push(self.operand(depth + 1)?);
        }
        match operands.first() {
            None => self.wrong("a value is missing"),
            Some(Operand { base: Base::Function(_), .. }) => Ok(operands),
            Some(_) if operands.len() > 1 => self.wrong("only a function takes arguments"),
            Some(_) => Ok(operands),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Operand, String> {
        if depth > MAX_DEPTH {
            return self.wrong(format_args!("nested deeper than {MAX_DEPTH} levels"));
        }
        let rest = self.rest();
        let base = match rest.as_bytes()[0] {
            b'(' => {
                self.at += 1;
                let pipe = self.pipe(depth, false)?;
                if !self.eat(")") {
                    return self.wrong("an unclosed parenthesis");
                }
                Base::Paren(Box::new(pipe))
            }
            b'.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                // A field of the dot starts right here, the dot alone is over.
                if !rest[1..].starts_with(is_name) {
                    self.at += 1;
                }
                Base::Dot
            }
            b'$' => {
                self.at += 1;
                let name = format!("${}", if self.rest().starts_with(is_name) { self.word() } else { "" });
                if !self.variables.contains(&name) {
                    return self.wrong(format_args!("undefined variable {name}"));
                }
                Base::Variable(name)
            }
            b'"' | b'`' | b'\'' => Base::Literal(self.quoted()?),
            b'0'..=b'9' | b'-' | b'+' | b'.' => Base::Literal(self.number()?),
            _ => self.named()?,
        };
        let mut fields = Vec::new();
        while self.rest().starts_with('.') && self.rest()[1..].starts_with(is_name) {
            self.at += 1;
            fields.push(self.word().to_string());
        }
        Ok(Operand { base, fields })
    }

    fn named(&mut self) -> Result<Base, String> {
        let name = self.word();
        Ok(match name {
            "true" | "false" => Base::Literal(Value::Bool(name == "true")),
            "nil" => Base::Literal(Value::Nil),
            "" => {
                let found: String = self.rest().chars().take(1).collect();
                return self.wrong(format_args!("unexpected {found:?}"));
            }
            _ => match functions::named(name) {
                Some(function) => Base::Function(function),
                None => return self.wrong(format_args!("the function {name} is not known or not supported")),
            },
        })
    }

    fn number(&mut self) -> Result<Value, String> {
        let rest = self.rest();
        let end = rest.find([' ', '\t', '\n', '\r', ')', '|', '}', ',']).unwrap_or(rest.len());
        let text = &rest[..end];
        let value = text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float));
        match value {
            Ok(value) => {
                self.at += end;
                Ok(value)
            }
            Err(_) => self.wrong(format_args!("{text:?} is not a number")),
        }
    }

    fn quoted(&mut self) -> Result<Value, String> {
        let rest = self.rest();
        let quote = rest.as_bytes()[0] as char;
        let mut text = String::new();
        let mut chars = rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.at += at + 2;
                return match quote {
                    '\'' => {
                        text.chars().next().map_or_else(|| self.wrong("an empty character"), |c| Ok(Value::Int(i64::from(u32::from(c)))))
                    }
                    _ => Ok(Value::Text(text)),
                };
            }
            let c = match c {
                '\\' if quote != '`' => match chars.next().map(|(_, c)| c) {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(c @ ('\\' | '"' | '\'')) => c,
                    other => return self.wrong(format_args!("the escape \\{} is not supported", other.unwrap_or(' '))),
                },
                c => c,
            };
            text.push(c);
        }
        self.wrong("an unclosed string")
    }
}

const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

fn is_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

//! A YAML document as a tree whose every node knows its place. Bounded in size, depth and expansion.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;
/// Most nodes of one document, those of aliases counted where they are used.
const MAX_NODES: usize = 200_000;

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// Text with its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub at: Place,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, as written.
    Text(String),
    List(Vec<Node>),
    /// Keys are distinct.
    Map(Vec<(Place, String, Node)>),
}

impl Content {
    /// What to call it in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Null => "nothing",
            Content::Text(_) => "a scalar",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}

/// Reads the one document of `text`; an empty text is [`Content::Null`].
pub fn read(text: &str) -> Result<Node, (Place, String)> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut document = None;
    while let Some((event, at)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamEnd | Event::Nothing => {}
            _ if document.is_some() => return Err((at, "a second document; one file holds one".into())),
            event => document = Some(reader.node(event, at, 0)?),
        }
    }
    Ok(document.unwrap_or(Node { at: Place { line: 1, column: 1 }, content: Content::Null }))
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Place)>, (Place, String)> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, place(&span.start)))),
            Some(Err(error)) => Err((place(error.marker()), format!("not YAML: {}", error.info()))),
        }
    }

    fn inner(&mut self) -> Result<(Event<'a>, Place), (Place, String)> {
        self.next()?.ok_or_else(|| (Place { line: 1, column: 1 }, "not YAML: it ends too early".into()))
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), (Place, String)> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES { Err((at, format!("more than {MAX_NODES} YAML nodes"))) } else { Ok(()) }
    }

    fn node(&mut self, event: Event<'a>, at: Place, depth: usize) -> Result<Node, (Place, String)> {
        if depth > MAX_DEPTH {
            return Err((at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let before = self.nodes;
        self.count(1, at)?;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (if null { Content::Null } else { Content::Text(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return Err((at, "an alias of something that is not complete".into()));
                };
                self.count(nodes, at)?;
                return Ok(node);
            }
            other => return Err((at, format!("not YAML: unexpected {other:?}"))),
        };
        let node = Node { at, content };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Content, (Place, String)> {
        let mut items = Vec::new();
        loop {
            match self.inner()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, (Place, String)> {
        let mut entries: Vec<(Place, String, Node)> = Vec::new();
        loop {
            let (event, at) = self.inner()?;
            if event == Event::MappingEnd {
                return Ok(Content::Map(entries));
            }
            let Content::Text(key) = self.node(event, at, depth + 1)?.content else {
                return Err((at, "a key must be a plain word".into()));
            };
            if entries.iter().any(|(_, have, _)| *have == key) {
                return Err((at, format!("the key {key:?} is given twice")));
            }
            let (event, value_at) = self.inner()?;
            let value = self.node(event, value_at, depth + 1)?;
            entries.push((at, key, value));
        }
    }
}

fn place(marker: &saphyr_parser::Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_knows_its_place() {
        let root = read("a:\n  - b: 1\n    c: 'null'\n").unwrap();
        let Content::Map(entries) = root.content else { panic!("{root:?}") };
        let Content::List(items) = &entries[0].2.content else { panic!() };
        let Content::Map(item) = &items[0].content else { panic!() };
        assert_eq!((item[1].0, item[1].2.at), (Place { line: 3, column: 5 }, Place { line: 3, column: 8 }));
        assert!(matches!(&item[1].2.content, Content::Text(text) if text == "null"));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        for at in 1..9 {
            let inner = vec![format!("*a{}", at - 1); 10].join(", ");
            laughs.push_str(&format!("a{at}: &a{at} [{inner}]\n"));
        }
        for (text, message) in [
            (laughs.as_str(), "nodes"),
            (&"[".repeat(40), "nested deeper"),
            (&"[".repeat(100_000), "not YAML"),
            ("a: 1\na: 2", "given twice"),
            ("a: [1", "not YAML"),
            ("a: 1\n---\nb: 2", "second document"),
            ("? [a]\n: 1", "plain word"),
        ] {
            let error = read(text).unwrap_err().1;
            assert!(error.contains(message), "{message}: {error}");
        }
    }
}

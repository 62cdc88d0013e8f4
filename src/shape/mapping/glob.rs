//! Glob rules as a tree of dotted components, walked once for a name however many rules there are.

use std::collections::HashMap;

/// One component of a rule's match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Component {
    /// `*`: any one component, also an empty one.
    Any,
    Text(Box<str>),
}

/// Components of one rule, at most: names that have more match no glob.
pub(super) const MAX_COMPONENTS: usize = 256;

/// Reads `a.*.b`.
pub(super) fn components(text: &str) -> Result<Vec<Component>, String> {
    let component = |part: &str| match part {
        "*" => Ok(Component::Any),
        "" => Err("a component is empty".to_string()),
        part if part.contains('*') => Err(format!("{part:?}: a * stands for a whole component; match_type: regex can do more")),
        part => Ok(Component::Text(part.into())),
    };
    if text.split('.').count() > MAX_COMPONENTS {
        return Err(format!("more than {MAX_COMPONENTS} components"));
    }
    text.split('.').map(component).collect()
}

/// What the `*` of a rule stand for in a name that it matches, after the name itself.
pub(super) fn captures<'n>(rule: &[Component], name: &'n str) -> Vec<&'n str> {
    let any = rule.iter().zip(name.split('.')).filter(|(component, _)| **component == Component::Any);
    std::iter::once(name).chain(any.map(|(_, part)| part)).collect()
}

/// All glob rules.
#[derive(Debug, Default)]
pub(super) struct GlobTree {
    /// The first is the root.
    nodes: Vec<Node>,
    in_order: bool,
}

#[derive(Debug, Default)]
struct Node {
    texts: HashMap<Box<str>, usize, foldhash::fast::RandomState>,
    any: Option<usize>,
    /// Rules that end here, in the order of the file.
    rules: Vec<usize>,
    /// The first rule at or below this node.
    first: usize,
    /// Components that are still to come, at least and at most.
    shortest: usize,
    longest: usize,
}

impl GlobTree {
    /// `in_order`: of several rules that match the first of the file wins; else the one whose text comes before a
    /// `*`, component by component.
    pub(super) fn new(in_order: bool) -> GlobTree {
        let root = Node { first: usize::MAX, shortest: usize::MAX, ..Node::default() };
        GlobTree { nodes: vec![root], in_order }
    }

    /// Adds a rule; rules are added in the order of the file.
    pub(super) fn add(&mut self, components: &[Component], rule: usize) {
        let mut at = 0;
        for (depth, component) in components.iter().enumerate() {
            self.nodes[at].reaches(rule, components.len() - depth);
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            let child = match component {
                Component::Any => *node.any.get_or_insert(next),
                Component::Text(text) => *node.texts.entry(text.clone()).or_insert(next),
            };
            if child == next {
                self.nodes.push(Node { first: usize::MAX, shortest: usize::MAX, ..Node::default() });
            }
            at = child;
        }
        self.nodes[at].reaches(rule, 0);
        self.nodes[at].rules.push(rule);
    }

    /// The rule that wins for a name, among those `allowed`.
    pub(super) fn find(&self, name: &str, allowed: impl Fn(usize) -> bool) -> Option<usize> {
        let mut parts = Vec::with_capacity(8);
        for part in name.split('.') {
            if parts.len() == MAX_COMPONENTS {
                return None;
            }
            parts.push(part);
        }
        let mut best = None;
        // Each node lies on one path, so it is looked at once at most.
        let mut open = vec![(0, 0)];
        while let Some((at, depth)) = open.pop() {
            let node = &self.nodes[at];
            let left = parts.len() - depth;
            if left < node.shortest || left > node.longest || best.is_some_and(|best| best < node.first) {
                continue;
            }
            if left == 0 {
                let found = node.rules.iter().copied().find(|&rule| allowed(rule));
                if found.is_some() && !self.in_order {
                    return found;
                }
                best = [best, found].into_iter().flatten().min();
                continue;
            }
            // The last that is put in is the first that is looked at: a text before `*`.
            open.extend(node.any.map(|child| (child, depth + 1)));
            open.extend(node.texts.get(parts[depth]).map(|&child| (child, depth + 1)));
        }
        best
    }
}

impl Node {
    fn reaches(&mut self, rule: usize, left: usize) {
        self.first = self.first.min(rule);
        self.shortest = self.shortest.min(left);
        self.longest = self.longest.max(left);
    }
}

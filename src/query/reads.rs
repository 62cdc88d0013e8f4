//! Which metrics an expression reads.

use super::ast::*;
use super::info;
use crate::model::Matcher;
use crate::model::labels::NAME;

impl Expr {
    /// What each selector asks of the name of a metric. One that asks nothing reads every metric.
    pub fn reads(&self) -> Vec<Vec<Matcher>> {
        let mut reads = Vec::new();
        collect(&self.root, &mut reads);
        reads
    }
}

fn collect(node: &Node, reads: &mut Vec<Vec<Matcher>>) {
    let names = |selector: &Selector| selector.matchers.iter().filter(|matcher| matcher.name == NAME).cloned().collect();
    match &node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) => {}
        NodeKind::Paren(inner) | NodeKind::Unary(_, inner) => collect(inner, reads),
        NodeKind::Binary(binary) => {
            collect(&binary.left, reads);
            collect(&binary.right, reads);
        }
        NodeKind::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| collect(param, reads));
            collect(&aggregate.inner, reads);
        }
        NodeKind::Call(call) if call.info.is_some() => {
            reads.push(info::names(call));
            collect(&call.args[0], reads);
        }
        NodeKind::Call(call) => call.args.iter().for_each(|arg| collect(arg, reads)),
        NodeKind::Selector(selector) => reads.push(names(selector)),
        NodeKind::Range(range) => reads.push(names(&range.selector)),
        NodeKind::Subquery(subquery) => collect(&subquery.inner, reads),
    }
}

#[cfg(test)]
mod tests {
    use crate::query::parse;

    #[test]
    fn every_selector_says_which_names_it_reads() {
        for (text, expected) in [
            ("1 + time()", vec![]),
            ("-(up) > bool 1", vec!["up"]),
            ("quantile(scalar(q), rate(hits[5m])) / on () depth offset 1m", vec!["q", "hits", "depth"]),
            ("max_over_time(rate(hits[5m])[1h:1m])", vec!["hits"]),
            ("{job=\"x\"}", vec![""]),
            ("sum({__name__=~\"a.*\", __name__!=\"ab\"})", vec!["a.* ab"]),
            ("info(up)", vec!["target_info", "up"]),
            ("info(up, {__name__=\"build_info\"})", vec!["build_info", "up"]),
        ] {
            let reads = parse(text).unwrap().reads();
            let told = |of: &Vec<crate::model::Matcher>| of.iter().map(|matcher| matcher.value.clone()).collect::<Vec<_>>().join(" ");
            assert_eq!(reads.iter().map(told).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}

//! Who may use whom: the tables here are the truth, and every `.rs` file under `src/` is held against them.
//!
//! A part is a module directly under `src/`. It may use parts of lower rank, and of its own rank those it lists. External
//! packages, sockets, files and the time of day are confined to the parts named for them. Test code is exempt.

use std::fs;
use std::path::{Path, PathBuf};

/// A module directly under `src/`.
struct Part {
    name: &'static str,
    rank: u8,
    /// Parts of its own rank that it may use.
    peers: &'static [&'static str],
}

const fn part(name: &'static str, rank: u8, peers: &'static [&'static str]) -> Part {
    Part { name, rank, peers }
}

const PARTS: [Part; 22] = [
    part("model", 0, &[]),
    part("clock", 0, &["model"]),
    part("telemetry", 0, &["model", "clock"]),
    part("yaml", 0, &[]),
    part("parse", 1, &[]),
    // An identity is shaped as the parser found it.
    part("shape", 1, &["parse"]),
    // A lane records the borrowed line as it was parsed, and counts by the parser's closed lists; a new spelling is shaped.
    part("aggregate", 1, &["parse", "shape"]),
    part("encode", 1, &[]),
    part("query", 1, &[]),
    part("ingest", 2, &[]),
    part("alert", 2, &[]),
    part("net", 3, &[]),
    part("listen", 3, &[]),
    part("store", 3, &[]),
    part("sink", 3, &["net"]),
    part("notify", 3, &["net"]),
    part("probe", 3, &["net"]),
    part("web", 4, &[]),
    part("config", 5, &[]),
    part("relay", 6, &[]),
    part("cli", 7, &[]),
    part("main", 8, &[]),
];

/// Parts that are functions of their arguments: what they would need the world for is passed in.
const PURE: [&str; 9] = ["model", "yaml", "parse", "shape", "aggregate", "encode", "query", "ingest", "alert"];

/// What a pure part does not name.
const WORLD: [&str; 9] = [
    "tokio",
    "nix",
    "socket2",
    "std::fs",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::time::SystemTime::now",
    "std::time::Instant::now",
];

/// External paths and the parts that may name them, so that each package can be replaced in an afternoon.
const CONFINED: [(&str, &[&str]); 17] = [
    ("nom", &["parse", "query"]),
    ("dashmap", &["aggregate"]),
    ("redb", &["store"]),
    ("pco", &["store"]),
    ("hyper", &["net", "web"]),
    ("hyper_util", &["net", "web"]),
    ("http_body_util", &["net", "web"]),
    ("hyper_rustls", &["net"]),
    ("rustls", &["net"]),
    ("serde_yaml", &["config"]),
    // Rule and mapping files are read with the place of every key.
    ("saphyr_parser", &["config", "yaml"]),
    ("anyhow", &["cli", "relay", "main"]),
    ("clap", &["cli"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("metrics::counter", &["telemetry"]),
    ("metrics::gauge", &["telemetry"]),
    ("metrics::histogram", &["telemetry"]),
];

#[test]
fn no_part_reaches_up_sideways_or_out() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 40, "only {} files under {}", files.len(), source.display());
    let mut findings = Vec::new();
    for file in files {
        let place = file.strip_prefix(&source).unwrap().to_path_buf();
        findings.extend(violations(&place, &fs::read_to_string(&file).unwrap()));
    }
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn a_violation_of_each_kind_is_found_and_its_lawful_twin_is_not() {
    let cases = [
        ("up", "encode/mod.rs", "use crate::sink::Payload;", "use crate::model::Window;"),
        ("up, in a group", "store/head.rs", "use crate::{model::Window, web::HttpConfig};", "use crate::{model::Window, query::Expr};"),
        ("up, inline", "query/eval.rs", "fn f() -> crate::config::Config { todo() }", "fn f() -> crate::model::Window { todo() }"),
        ("up, in an attribute", "shape/config.rs", "#[serde(with = \"crate::web::size\")]", "#[serde(with = \"crate::model::size\")]"),
        ("sideways", "sink/datadog.rs", "use crate::store::Head;", "use crate::net::Client;"),
        ("sideways, not listed", "parse/mod.rs", "use crate::encode::text;", "use crate::parse::line;"),
        ("an unlisted part", "relay/mod.rs", "use crate::helpers::go;", "use crate::web::serve;"),
        ("a package out of its part", "listen/udp.rs", "use nom::{IResult, bytes::complete::tag};", "use socket2::Socket;"),
        ("a package behind an alias", "web/api.rs", "use ::redb::Database as D;", "use hyper::Request;"),
        ("the macro of the metrics", "listen/udp.rs", "fn f() { metrics::counter!(\"x\").increment(1); }", "fn f() { metrics::page(1); }"),
        ("a socket in a pure part", "ingest.rs", "use std::net::{IpAddr, UdpSocket};", "use std::net::IpAddr;"),
        ("the clock in a pure part", "alert/group.rs", "fn f() { std::time::Instant::now(); }", "fn f(now: std::time::Instant) {}"),
        (
            "a comment is no code",
            "web/mod.rs",
            "use crate::relay::x; // crate::relay",
            "// crate::relay, nom::tag\n/* use crate::cli::x; */",
        ),
        (
            "a text is no code",
            "web/mod.rs",
            "fn f() { crate::relay::x(\"crate\") }",
            "fn f() { g(\" use crate::relay;\", '\"', r#\"nom::x\"#) }",
        ),
        (
            "test code is exempt",
            "parse/mod.rs",
            "mod tests { use crate::web::x; }",
            "#[cfg(test)]\nmod tests { fn f() { use crate::web::x; } }",
        ),
        (
            "code after test code",
            "parse/mod.rs",
            "#[cfg(test)]\nmod tests {}\nuse crate::web::x;",
            "#[cfg(test)]\nmod tests;\nuse crate::model::x;",
        ),
    ];
    for (what, file, unlawful, lawful) in cases {
        assert_ne!(violations(Path::new(file), unlawful), Vec::<String>::new(), "{what}");
        assert_eq!(violations(Path::new(file), lawful), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn the_tables_agree_with_each_other() {
    for row in &PARTS {
        for peer in row.peers {
            assert_eq!(find(peer).unwrap().rank, row.rank, "{} lists {peer}, which is of another rank", row.name);
            assert!(!find(peer).unwrap().peers.contains(&row.name), "{} and {peer} use each other", row.name);
        }
    }
    for name in PURE.iter().chain(CONFINED.iter().flat_map(|(_, parts)| parts.iter())) {
        assert!(find(name).is_some(), "{name} is not a part");
    }
}

fn find(name: &str) -> Option<&'static Part> {
    PARTS.iter().find(|part| part.name == name)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// What `file` (its path under `src/`) may not name, one sentence each.
fn violations(file: &Path, text: &str) -> Vec<String> {
    let first = file.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.trim_end_matches(".rs");
    if name == "lib" || file.file_stem().is_some_and(|stem| stem == "tests") {
        return Vec::new();
    }
    let Some(part) = find(name) else {
        return vec![format!("src/{first}: not in the table of parts")];
    };
    let complaint = |path: &[String]| complaint(part, &path.join("::"));
    paths(&without_tests(tokens(text)))
        .iter()
        .filter_map(|path| complaint(path))
        .map(|why| format!("src/{}: {why}", file.display()))
        .collect()
}

fn complaint(part: &Part, path: &str) -> Option<String> {
    let within = |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with("::"));
    if let Some(used) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("statsd_relay::")) {
        let used = used.split("::").next().unwrap_or(used);
        return match find(used) {
            None => Some(format!("{path}: `{used}` is not in the table of parts")),
            Some(other) if other.rank < part.rank || other.name == part.name || part.peers.contains(&other.name) => None,
            Some(other) => Some(format!("{path}: {} (rank {}) may not use {} (rank {})", part.name, part.rank, other.name, other.rank)),
        };
    }
    if let Some((root, parts)) = CONFINED.iter().find(|(root, parts)| within(root) && !parts.contains(&part.name)) {
        return Some(format!("{path}: {root} belongs to {}", parts.join(", ")));
    }
    let impure = PURE.contains(&part.name).then(|| WORLD.iter().find(|world| within(world))).flatten()?;
    Some(format!("{path}: {} is pure and does not know {impure}", part.name))
}

/// Identifiers, `::`, and single characters. Comments and texts are left out, but for a text that is a path of ours (serde's `with`).
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(length) = raw_text(rest) {
            length
        } else if c == '"' {
            let length = quoted(rest);
            if rest[1..length].starts_with("crate::") {
                found.extend(tokens(&rest[1..length - 1]));
            }
            length
        } else if c == '\'' {
            character(rest)
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(rest[..length].to_string());
            length
        } else if rest.starts_with("::") {
            found.push("::".into());
            2
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// Length of the quoted text that `rest` begins with.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of the raw text that `rest` begins with.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

/// Length of the character literal that `rest` begins with, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(rest.len(), |at| at + 4),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1),
        None => 1,
    }
}

/// Drops each item that `#[cfg(test)]` marks.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].len() >= marker.len() && tokens[at..].iter().zip(marker).all(|(token, marker)| token == marker) {
            at = item_end(&tokens, at + marker.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Index after the item that starts at `at`: its `;`, or the brace that closes its body.
fn item_end(tokens: &[String], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Keywords that may stand before a path with a leading `::`.
const BEFORE_A_PATH: [&str; 8] = ["use", "as", "dyn", "impl", "mut", "in", "return", "for"];

/// Every path of two names or more, with groups spread out.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let continues = tokens.get(at + 1).is_some_and(|next| next == "::");
        if is_name(&tokens[at]) && continues && !BEFORE_A_PATH.contains(&tokens[at].as_str()) {
            at = spread(tokens, at, &mut Vec::new(), &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Walks one use tree that starts with a name at `at`; returns the index after it.
fn spread(tokens: &[String], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = prefix.len();
    loop {
        prefix.push(tokens[at].clone());
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            found.push(prefix.clone());
            break;
        }
        at += 1;
        match tokens.get(at) {
            Some(token) if token == "{" => {
                at = group(tokens, at + 1, prefix, found);
                break;
            }
            Some(token) if is_name(token) => {}
            // A glob or a turbofish: the path so far is what is named.
            _ => {
                found.push(prefix.clone());
                break;
            }
        }
    }
    prefix.truncate(depth);
    at
}

fn group(tokens: &[String], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    while at < tokens.len() && tokens[at] != "}" {
        if is_name(&tokens[at]) && tokens[at] != "as" {
            at = spread(tokens, at, prefix, found);
        } else if tokens[at] == "*" {
            found.push(prefix.clone());
            at += 1;
        } else {
            at += if tokens[at] == "as" { 2 } else { 1 };
        }
    }
    at + 1
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

//! The HTTP server over loopback: page, API, health, errors and limits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "web/fixture.rs"]
mod fixture;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use fixture::{Server, counters, window};
use serde_json::{Value, json};
use statsd_relay::cli::query::{HealthArgs, Output, QueryArgs, ServerArgs};
use statsd_relay::telemetry::Telemetry;
use statsd_relay::web::{Limits, State};

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    // Longer than any limit of these tests; a test that waits for it has failed.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends bytes and reads until the server closes; what came until an error counts.
fn exchange(server: &Server, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(server);
    stream.write_all(request).unwrap();
    read_all(&mut stream)
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let (mut out, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return out,
            Ok(n) => out.extend_from_slice(&buffer[..n]),
            Err(error) => {
                assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "the server kept waiting");
                return out;
            }
        }
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn of(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a complete head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        Answer { status: head[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn request(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n{body}");
    Answer::of(&exchange(server, request.as_bytes()))
}

fn get(server: &Server, path: &str) -> Answer {
    request(server, "GET", path, "", "")
}

fn data(server: &Server, path: &str) -> Value {
    let answer = get(server, path);
    let json = answer.json();
    assert_eq!((answer.status, &json["status"]), (200, &json!("success")), "{path}: {json}");
    json["data"].clone()
}

fn post(server: &Server, path: &str, form: &str) -> Answer {
    request(server, "POST", path, "Content-Type: application/x-www-form-urlencoded\r\n", form)
}

/// The page without the relay's own families.
fn client_lines(page: &str) -> String {
    page.split_inclusive('\n').filter(|line| !line.contains("statsd_relay_")).collect()
}

const PAGE: &str = r#"# HELP app_hits StatsD counter app.hits
# TYPE app_hits counter
app_hits{env="prod"} 3
app_hits{env="a\"b"} 2.5
# HELP req_time StatsD timer req.time
# TYPE req_time summary
req_time{quantile="0.5"} 0.32
req_time{quantile="0.99"} 0.32
req_time_sum 0.32
req_time_count 1
# HELP z_level StatsD gauge z.level
# TYPE z_level gauge
z_level -7
"#;

#[test]
fn the_page_comes_with_the_first_window_and_is_one_sorted_list() {
    let server = Server::start();
    let early = get(&server, "/metrics");
    assert_eq!(early.status, 503);
    server.page.show(window());
    let answer = get(&server, "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", answer.head);
    let page = answer.text();
    assert_eq!(client_lines(page), PAGE);
    let names: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(|rest| rest.split(' ').next().unwrap()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(names.windows(2).all(|two| two[0] != two[1]), "a family stands twice: {names:?}");
    assert!(page.contains("\nstatsd_relay_http_requests_total{status=\"5xx\"} "), "the relay's own as of now");
}

#[test]
fn a_compressed_page_holds_the_same() {
    let server = Server::start();
    server.page.show(window());
    let answer = request(&server, "GET", "/metrics", "Accept-Encoding: gzip\r\n", "");
    assert!(answer.head.contains("content-encoding: gzip"), "{}", answer.head);
    let mut page = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut page).unwrap();
    assert_eq!(client_lines(&page), PAGE);
    let head = request(&server, "HEAD", "/metrics", "", "");
    assert!(head.status == 200 && head.body.is_empty() && head.head.contains("content-length: "), "{}", head.head);
}

#[test]
fn promtool_reads_the_page() {
    let server = Server::start();
    server.page.show(window());
    let page = get(&server, "/metrics");
    let promtool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else {
        println!("SKIPPED: promtool is not installed");
        return;
    };
    promtool.stdin.take().unwrap().write_all(&page.body).unwrap();
    let output = promtool.wait_with_output().unwrap();
    // Its linter wants `_total` on counters, which they have only when the suffix is on.
    let complaints = String::from_utf8(output.stderr).unwrap();
    let complaints: Vec<&str> = complaints.lines().filter(|line| !line.contains("counter metrics should have \"_total\" suffix")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn lifecycle_endpoints_have_their_exact_bodies() {
    let server = Server::start();
    let plain = |path: &str| {
        let answer = get(&server, path);
        (answer.status, answer.text().to_string())
    };
    assert_eq!(plain("/-/healthy"), (200, "statsd-relay is Healthy.\n".into()));
    assert_eq!(plain("/-/ready"), (503, "Service Unavailable".into()));
    server.health.set_ready(true);
    assert_eq!(plain("/-/ready"), (200, "statsd-relay is Ready.\n".into()));
    assert_eq!(request(&server, "HEAD", "/-/ready", "", "").status, 200);
    let refused = request(&server, "POST", "/-/ready", "", "x");
    assert_eq!((refused.status, refused.json()["status"].clone()), (405, json!("error")));
    assert!(refused.head.contains("allow: get, head"));
}

#[test]
fn health_names_parts_and_reasons() {
    let server = Server::start();
    server.health.set_ready(true);
    server.health.set("store", State::Degraded, "disk full".into());
    server.health.set_check("db", State::Down, "connection refused".into());
    let answer = get(&server, "/health");
    assert_eq!(answer.status, 200);
    let expected = json!({"state": "degraded", "reasons": ["store: disk full"], "parts": {
        "store": {"state": "degraded", "reason": "disk full"}, "db": {"state": "down", "reason": "connection refused"}}});
    assert_eq!(answer.json(), expected);
    assert_eq!(get(&server, "/health?require=store,db").status, 503);
    assert_eq!(get(&server, "/health?require=nothing").status, 404);
    server.health.set("store", State::Ok, String::new());
    assert_eq!(get(&server, "/health?require=store").status, 200);
    let args = |require: &[&str], url: &str| HealthArgs {
        require: require.iter().map(|name| name.to_string()).collect(),
        server: ServerArgs { url: Some(url.to_string()), output: Output::Text },
    };
    let code = |args: HealthArgs| format!("{:?}", args.run().unwrap());
    assert_eq!(code(args(&[], &server.url())), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(code(args(&["db"], &server.url())), format!("{:?}", ExitCode::FAILURE));
    assert_eq!(code(args(&[], "http://127.0.0.1:1")), format!("{:?}", ExitCode::from(69)));
}

#[test]
fn queries_answer_in_the_shapes_of_the_api() {
    let server = Server::start();
    let table = [
        ("/api/v1/query?query=1%2B1&time=10.5", json!({"resultType": "scalar", "result": [10.5, "2"]})),
        (
            "/api/v1/query?query=hits&time=1000000060",
            json!({"resultType": "vector", "result": [
                {"metric": {"__name__": "hits", "env": "dev"}, "value": [1_000_000_060, "5"]},
                {"metric": {"__name__": "hits", "env": "prod"}, "value": [1_000_000_060, "12"]}]}),
        ),
        (
            "/api/v1/query?query=hits%7Benv%3D%22prod%22%7D%5B1m%5D&time=1000000060",
            json!({"resultType": "matrix", "result": [{"metric": {"__name__": "hits", "env": "prod"},
                "values": [[1_000_000_030, "10"], [1_000_000_060, "12"]]}]}),
        ),
        (
            "/api/v1/query_range?query=hits%7Benv%3D%22prod%22%7D&start=1000000030&end=1000000060&step=30s",
            json!({"resultType": "matrix", "result": [{"metric": {"__name__": "hits", "env": "prod"},
                "values": [[1_000_000_030, "10"], [1_000_000_060, "12"]]}]}),
        ),
        ("/api/v1/format_query?query=foo/bar", json!("foo / bar")),
        ("/api/v1/query_exemplars?query=hits&start=1&end=2", json!([])),
        (
            "/api/v1/series?match[]=hits%7Benv%3D~%22p.*%22%7D&match[]=load",
            json!([{"__name__": "hits", "env": "prod"}, {"__name__": "load"}]),
        ),
        ("/api/v1/labels", json!(["__name__", "env"])),
        ("/api/v1/label/env/values", json!(["dev", "prod"])),
        ("/api/v1/label/__name__/values?match[]=load", json!(["load"])),
        ("/api/v1/label/none/values", json!([])),
    ];
    for (path, expected) in table {
        assert_eq!(data(&server, path), expected, "{path}");
    }
    let posted = post(&server, "/api/v1/query?time=9", "query=1%2B1&time=10");
    assert_eq!(posted.json()["data"]["result"], json!([10, "2"]), "the body's fields come first");
}

#[test]
fn a_limit_cuts_and_warns() {
    let server = Server::start();
    for path in ["/api/v1/query?query=hits&time=1000000060&limit=1", "/api/v1/labels?limit=1", "/api/v1/series?match[]=hits&limit=1"] {
        let answer = get(&server, path).json();
        assert_eq!(answer["warnings"], json!(["results truncated due to limit"]), "{path}");
        let results = answer["data"].as_array().or(answer["data"]["result"].as_array()).unwrap();
        assert_eq!(results.len(), 1, "{path}");
    }
}

#[test]
fn errors_have_the_shape_and_words_of_the_api() {
    let server = Server::start();
    let range = "/api/v1/query_range?query=hits";
    let table = [
        ("/api/v1/query?query=1&time=x", 400, "bad_data", r#"invalid parameter "time": cannot parse "x" to a valid timestamp"#),
        (&format!("{range}&end=1&step=1"), 400, "bad_data", r#"invalid parameter "start": cannot parse "" to a valid timestamp"#),
        (&format!("{range}&start=2&end=1&step=1"), 400, "bad_data", "end timestamp must not be before start time"),
        (&format!("{range}&start=1&end=2&step=0"), 400, "bad_data", "zero or negative query resolution step widths are not accepted"),
        (&format!("{range}&start=1&end=2&step=x"), 400, "bad_data", r#"invalid parameter "step": cannot parse "x" to a valid duration"#),
        (&format!("{range}&start=0&end=11001&step=1"), 400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries"),
        ("/api/v1/query?query=broken", 422, "execution", "the store cannot be read: bad disk"),
        ("/api/v1/query", 400, "bad_data", r#"invalid parameter "query": "#),
        ("/api/v1/query?query=%zz", 400, "bad_data", "invalid URL escape"),
        ("/api/v1/query?query=sum(", 400, "bad_data", "parse error"),
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/series?match[]=%7B", 400, "bad_data", r#"invalid parameter "match[]": "#),
        ("/api/v1/labels?limit=-1", 400, "bad_data", "limit must be a non-negative number"),
        ("/api/v1/rules?type=x", 400, "bad_data", "not supported value"),
        ("/api/v1/nothing", 404, "not_found", "/api/v1/nothing"),
        ("/nothing", 404, "not_found", "/nothing"),
    ];
    for (path, status, kind, words) in table {
        let answer = get(&server, path);
        let json = answer.json();
        assert_eq!((answer.status, &json["status"], &json["errorType"]), (status, &json!("error"), &json!(kind)), "{path}: {json}");
        assert!(json["error"].as_str().unwrap().contains(words), "{path}: {json}");
        assert!(json.get("data").is_none(), "{path}");
    }
    assert_eq!(post(&server, "/api/v1/rules", "a=b").status, 405);
    assert_eq!(request(&server, "DELETE", "/api/v1/query", "", "").status, 405);
}

#[test]
fn what_is_known_about_names_rules_and_the_build_is_told() {
    let server = Server::start();
    server.page.show(window());
    let metadata = data(&server, "/api/v1/metadata?metric=req_time");
    assert_eq!(metadata, json!({"req_time": [{"type": "summary", "help": "StatsD timer req.time", "unit": "seconds"}]}));
    assert_eq!(data(&server, "/api/v1/metadata?limit=2").as_object().unwrap().len(), 2);
    let alert = json!({"labels": {"alertname": "Down", "job": "x"}, "annotations": {"summary": "it is"}, "state": "firing",
        "activeAt": "2001-09-09T01:46:40Z", "value": "1.5e+00"});
    assert_eq!(data(&server, "/api/v1/alerts"), json!({"alerts": [alert]}));
    let groups = data(&server, "/api/v1/rules")["groups"].clone();
    let group = &groups[0];
    assert_eq!((&group["name"], &group["file"], &group["interval"]), (&json!("g"), &json!("rules.yml"), &json!(10.0)));
    assert_eq!(group["lastEvaluation"], json!("0001-01-01T00:00:00Z"));
    let rule = json!({"type": "alerting", "state": "firing", "name": "Down", "query": "up == 0", "duration": 60.0, "keepFiringFor": 0.0,
        "labels": {"severity": "page"}, "annotations": {}, "alerts": [alert], "health": "ok", "evaluationTime": 0.001,
        "lastEvaluation": "2001-09-09T01:46:41.5Z"});
    assert_eq!(group["rules"][0], rule);
    assert_eq!((&group["rules"][1]["type"], &group["rules"][1]["health"]), (&json!("recording"), &json!("err")));
    let count = |query: &str| {
        let groups = data(&server, &format!("/api/v1/rules?{query}"));
        groups["groups"].as_array().unwrap().iter().map(|group| group["rules"].as_array().unwrap().len()).sum::<usize>()
    };
    for (query, expected) in [
        ("type=alert", 1),
        ("type=record", 1),
        ("rule_name[]=Down", 1),
        ("rule_group[]=other", 0),
        ("file[]=rules.yml", 2),
        ("match[]=%7Bseverity%3D%22page%22%7D", 1),
    ] {
        assert_eq!(count(query), expected, "{query}");
    }
    let build = data(&server, "/api/v1/status/buildinfo");
    assert_eq!((&build["version"], &build["application"]), (&json!("2.55.0"), &json!("statsd-relay")));
    assert!(build.get("features").is_none(), "Grafana would take us for Mimir");
    assert_eq!(data(&server, "/api/v1/status/config"), json!({"yaml": "data_dir: null\n"}));
}

#[test]
fn the_index_links_to_everything_and_forbids_script() {
    let server = Server::start();
    let index = get(&server, "/");
    assert!(index.head.contains("content-security-policy: default-src 'none'"), "{}", index.head);
    assert!(index.text().contains(r#"<a href="/metrics">"#));
}

#[test]
fn requests_beyond_a_limit_are_refused_with_the_reason() {
    let server = Server::start();
    let long = "x".repeat(9_000);
    let answer = get(&server, &format!("/api/v1/query?query={long}"));
    assert_eq!((answer.status, &answer.json()["errorType"]), (414, &json!("bad_data")));
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(Answer::of(&exchange(&server, head.as_bytes())).status, 431);
    let declared = "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1048577\r\n\r\n";
    assert_eq!(Answer::of(&exchange(&server, declared.as_bytes())).status, 413);
    let mut chunked = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunked.extend_from_slice(b"100001\r\n");
    chunked.extend(std::iter::repeat_n(b'x', 0x10_0001));
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let mut stream = connect(&server);
    // The server may answer and close before all of it was sent.
    let _ = stream.write_all(&chunked);
    assert_eq!(Answer::of(&read_all(&mut stream)).status, 413);
    let most = format!("query=1%2B1&pad={}", "x".repeat((1 << 20) - 20));
    assert_eq!(post(&server, "/api/v1/query", &most).status, 200);
}

#[test]
fn slow_clients_are_closed() {
    let limits = Limits { head: Duration::from_millis(100), idle: Duration::from_secs(60), ..Limits::default() };
    let server = Server::with(limits);
    assert_eq!(exchange(&server, b""), b"", "silent from the begin");
    assert_eq!(exchange(&server, b"GET / HTTP/1.1\r\nHost: lo"), b"", "half a head");

    let mut kept = connect(&server);
    let ask = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut buffer = [0; 4_096];
    kept.write_all(ask).unwrap();
    assert!(kept.read(&mut buffer).unwrap() > 0);
    kept.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(kept.read(&mut buffer).is_err(), "between requests a connection may rest longer than a head may take");
    kept.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    kept.write_all(ask).unwrap();
    assert!(kept.read(&mut buffer).unwrap() > 0);
    kept.write_all(b"GET / HT").unwrap();
    assert_eq!(read_all(&mut kept), b"", "half a head of a later request");
}

#[test]
fn a_body_that_does_not_come_ends_the_request() {
    let server = Server::with(Limits { request: Duration::from_millis(100), ..Limits::default() });
    let half = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nquery=";
    let answer = Answer::of(&exchange(&server, half));
    assert_eq!((answer.status, &answer.json()["errorType"]), (503, &json!("timeout")));
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::with(Limits { idle: Duration::from_millis(100), ..Limits::default() });
    let answer = Answer::of(&exchange(&server, b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_eq!(answer.status, 200);
}

#[test]
fn a_reader_that_stalls_gives_its_place_back() {
    let short = Duration::from_millis(200);
    place_comes_back(Limits { connections: 1, write_stall: short, ..Limits::default() });
    place_comes_back(Limits { connections: 1, request: short, ..Limits::default() });
}

fn place_comes_back(limits: Limits) {
    let server = Server::with(limits);
    server.page.show(counters(1_500, 20_000));
    // Once a window; not part of what is measured here.
    assert!(server.page.render(&Telemetry::install()).is_some());
    let mut stalled = connect(&server);
    stalled.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 1];
    stalled.read_exact(&mut first).unwrap();
    let ask = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut refused = 0;
    while refused < 10_000 {
        let mut stream = connect(&server);
        if stream.write_all(ask).is_ok() && !read_all(&mut stream).is_empty() {
            assert!(refused > 0, "the place was taken at first");
            return;
        }
        refused += 1;
        std::thread::yield_now();
    }
    panic!("the stalled reader kept its place");
}

#[test]
fn connections_from_one_address_are_bounded() {
    let server = Server::with(Limits { connections_per_address: 2, ..Limits::default() });
    let ask = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut open: Vec<TcpStream> = (0..2).map(|_| connect(&server)).collect();
    for stream in &mut open {
        stream.write_all(ask).unwrap();
        assert!(stream.read(&mut [0; 1_024]).unwrap() > 0);
    }
    assert_eq!(read_all(&mut connect(&server)), b"", "closed at once");
}

#[test]
fn smuggled_and_broken_requests_get_a_refusal_or_a_close() {
    let server = Server::start();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..],
        b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET  HTTP/1.1\r\n\r\n",
        b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut stream = connect(&server);
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = read_all(&mut stream);
        let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.0 4");
        let text = String::from_utf8_lossy(&answer);
        // Both lengths at once: the library drops the shorter form and closes after the answer.
        assert!(refused || text.to_lowercase().contains("connection: close"), "{:?} got {text}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(get(&server, "/-/healthy").status, 200);
}

#[test]
fn the_command_line_asks_and_reports() {
    let server = Server::start();
    let ask = |expr: &str, url: String| {
        let server = ServerArgs { url: Some(url), output: Output::Json };
        let args = QueryArgs { expr: expr.into(), time: Some("1000000060".into()), start: None, end: None, step: None, server };
        format!("{:?}", args.run().unwrap())
    };
    assert_eq!(ask("hits", server.url()), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(ask("broken", server.url()), format!("{:?}", ExitCode::FAILURE));
    assert_eq!(ask("hits", "http://127.0.0.1:1".into()), format!("{:?}", ExitCode::from(69)));
    assert_eq!(ask("hits", "ftp://x".into()), format!("{:?}", ExitCode::from(2)));
}

#[test]
fn the_server_stops_when_told_even_with_open_connections() {
    let mut server = Server::start();
    let mut idle = connect(&server);
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1_024]).unwrap() > 0);
    server.stop();
    assert_eq!(read_all(&mut idle), b"");
    assert!(TcpStream::connect(server.address).is_err());
}

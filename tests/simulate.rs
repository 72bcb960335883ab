//! The `simulate` program, run as a process: its output, its exit status, and its errors about bad input.
//!
//! This file is long because it has the output for each kind of bad input.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

/// Builds the example: cargo does this by itself only for some ways to run this test. If there is no cargo, as under Wine, the variable
/// `SIMULATE` names it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(built) = std::env::var_os("SIMULATE") {
            return built.into();
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--offline", "--example", "simulate", "--message-format", "json"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let messages = String::from_utf8(built.stdout).unwrap();
        let mut found = messages.lines().filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            if message["target"]["name"] != "simulate" {
                return None;
            }
            message["executable"].as_str().map(PathBuf::from)
        });
        found.next_back().expect("cargo says where the program is")
    })
}

#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str], stdin: &str) -> Ran {
    let mut child = Command::new(program())
        .args(arguments)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read its input and may have ended: this is not a failure.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Writes a file for the program to read. Returns its name.
fn file(name: &str, content: impl AsRef<[u8]>) -> &str {
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), content).unwrap();
    name
}

/// A refresh that fails, a backoff, and a refresh that succeeds.
fn scenario(name: &str) -> Value {
    json!({
        "name": name,
        "_why": "fields that begin so are ignored",
        "start": 1_700_000_000,
        "policy": "default",
        "credential": {"initial_token": null, "_": 1},
        "refresher": [{"after": 10, "error": "down", "_": []}, {"after": 10, "token": {"exp": 3600}}],
        "script": [
            {"at": 2_000, "do": "get_token", "id": "b"},
            {"at": 0, "do": "get_token", "id": "a", "_": null},
        ],
        "until": 5_000,
        "expected": timeline(),
    })
}

fn timeline() -> Value {
    json!([
        {"at": 0, "event": "refresher_called", "call": 1},
        {"at": 10, "event": "error", "id": "a", "error": "refresh_failed"},
        {"at": 10, "event": "notice", "notice": "refresh_failed"},
        {"at": 2_000, "event": "refresher_called", "call": 2},
        {"at": 2_010, "event": "token", "id": "b", "token": "r2"},
        {"at": 2_010, "event": "notice", "notice": "token_changed"},
    ])
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Fails when a field is renamed, lines are joined, or the timeline is printed in another order.
#[test]
fn it_prints_one_object_a_line_with_the_name_and_the_timeline() {
    let both = file("two.json", json!([scenario("one"), scenario("two")]).to_string());
    let ran = run(&[both], "");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let expected: Vec<_> = ["one", "two"].map(|name| json!({"name": name, "timeline": timeline()})).to_vec();
    assert_eq!(lines(&ran.out), expected);
    assert!(ran.out.ends_with('\n'));

    let single = file("single.json", scenario("alone").to_string());
    let ran = run(&[single, both], "");
    let names: Vec<_> = lines(&ran.out).iter().map(|line| line["name"].clone()).collect();
    assert_eq!(names, ["alone", "one", "two"], "all files, in their order");
    assert_eq!(run(&["empty.json"], "").code, 2);
    let ran = run(&[file("none.json", "[]")], "");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "an empty list");
}

/// Fails when `-` is taken for a file or an option.
#[test]
fn it_reads_standard_input_for_a_dash() {
    let ran = run(&["-"], &scenario("piped").to_string());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(lines(&ran.out), [json!({"name": "piped", "timeline": timeline()})]);
    let ran = run(&["--check", "-"], &json!([scenario("piped")]).to_string());
    assert_eq!((ran.code, ran.out.as_str()), (0, "1 of 1 scenarios as expected\n"));
}

/// Fails when `--policy` is ignored, or the scenario keeps its options under it.
#[test]
fn it_plays_under_another_policy_on_request() {
    let mut tuned = scenario("tuned");
    tuned["policy"] = json!({"base": "default", "retry_initial": 4_000});
    let tuned = file("tuned.json", tuned.to_string());
    let timeline_under = |arguments: &[&str]| {
        let ran = run(arguments, "");
        assert_eq!(ran.code, 0, "{ran:?}");
        lines(&ran.out)[0]["timeline"].clone()
    };
    assert_eq!(
        timeline_under(&[tuned])[3],
        json!({"at": 2_000, "event": "error", "id": "b", "error": "refresh_failed"})
    );
    assert_eq!(timeline_under(&["--policy", "default", tuned]), timeline());
    let reference = timeline_under(&[tuned, "--policy", "reference"]);
    let without: Vec<_> = timeline().as_array().unwrap().iter().filter(|e| e["event"] != "notice").cloned().collect();
    assert_eq!(reference, json!(without), "under the reference policy there are no notices");
}

/// Fails when a difference does not lead to 1, or is reported without scenario, stream or both sides.
#[test]
fn a_check_ends_with_1_and_prints_the_differences() {
    let good = file("good.json", json!([scenario("one"), scenario("two")]).to_string());
    let ran = run(&["--check", good], "");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "2 of 2 scenarios as expected\n", ""));

    let altered = |alter: &dyn Fn(&mut Value)| {
        let mut other = scenario("odd");
        alter(&mut other["expected"]);
        let ran = run(&["--check", "-"], &json!([scenario("one"), other]).to_string());
        assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{ran:?}");
        assert!(ran.out.ends_with("\n1 of 2 scenarios as expected\n"), "{}", ran.out);
        assert!(ran.out.starts_with("standard input: odd:\n  "), "{}", ran.out);
        ran.out
    };
    let out = altered(&|expected| expected[4]["token"] = json!("r1"));
    assert!(out.contains(r#"caller "b", event 1: expected {"at":2010,"event":"token","id":"b","token":"r1"}, got {"#));
    assert!(out.contains(r#""token":"r2"}"#), "{out}");
    let out = altered(&|expected| expected[1]["at"] = json!(14));
    assert!(out.contains(r#"caller "a", event 1: expected {"at":14"#) && out.contains(r#"got {"at":10"#), "{out}");
    let out = altered(&|expected| expected[5]["notice"] = json!("token_expired"));
    assert!(out.contains("notices, event 2: expected") && out.contains("token_expired"), "{out}");
    let out = altered(&|expected| drop(expected.as_array_mut().unwrap().remove(3)));
    assert!(out.contains(r#"refresher, event 2: expected nothing, got {"at":2000"#), "{out}");
    let more = json!({"at": 9, "event": "token", "id": "c", "token": "r1"});
    let out = altered(&|expected| expected.as_array_mut().unwrap().push(more.clone()));
    assert!(out.contains(r#"caller "c", event 1: expected {"at":9"#) && out.contains("got nothing"), "{out}");

    // Differences within the tolerance, or in events that the file does not record, are not reported.
    let mut near = scenario("near");
    near["expected"][1]["at"] = json!(12);
    near["expected"][4]["at"] = json!(2_014);
    let ran = run(&["--check", "-"], &near.to_string());
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut silent = scenario("silent");
    silent["expected"].as_array_mut().unwrap().retain(|event| event["event"] != "notice");
    assert_eq!(run(&["--check", "-"], &silent.to_string()).code, 0);

    // The earliest difference comes first, although its caller's name is last in order. Three are printed.
    let mut several = scenario("several");
    several["expected"] = json!(
        [("z", 5), ("c", 8_000), ("b", 9_000), ("a", 10_000)]
            .map(|(id, at)| { json!({"at": at, "event": "token", "id": id, "token": "r1"}) })
    );
    several["script"] = json!([]);
    let ran = run(&["--check", "-"], &several.to_string());
    let shown: Vec<_> = ran.out.lines().map(|line| line.trim().split(',').next().unwrap()).collect();
    let callers = [r#"caller "z""#, r#"caller "c""#, r#"caller "b""#];
    assert_eq!(shown[1..], [&callers[..], &["… and 1 more", "0 of 1 scenarios as expected"]].concat(), "{}", ran.out);

    let mut many = vec![scenario("odd"); 12];
    many.iter_mut().for_each(|odd| odd["expected"] = json!([]));
    let ran = run(&["--check", "-"], &json!(many).to_string());
    assert_eq!(ran.out.matches("standard input: odd:").count(), 10, "ten are printed: {}", ran.out);
    assert!(ran.out.ends_with("0 of 12 scenarios as expected\n"), "{}", ran.out);
}

/// Fails when a field is not checked, a message does not name its place, or bad input does not end with 2.
#[test]
fn bad_input_ends_with_2_and_names_file_scenario_and_field() {
    /// Errors in a scenario, and the expected messages.
    type Case<'a> = (&'a str, Value, &'a str);
    let table: [Case<'_>; 46] = [
        ("/surplus", json!(1), "surplus: unknown field"),
        ("/credential/surplus", json!(1), "credential.surplus: unknown field"),
        ("/refresher/0/surplus", json!(1), "refresher[0].surplus: unknown field"),
        ("/refresher/1/token/surplus", json!(1), "refresher[1].token.surplus: unknown field"),
        ("/script/1/surplus", json!(1), "script[1].surplus: unknown field"),
        ("/policy", json!({"surplus": 1}), "policy.surplus: unknown field"),
        ("/name", json!(null), "name: expected a string, found null"),
        ("/start", json!("now"), "start: expected an integer, found \"now\""),
        ("/start", json!(1.5), "start: expected an integer, found 1.5"),
        ("/until", json!(-1), "until: expected an integer, 0 or more, found -1"),
        ("/until", json!("x".repeat(500)), "until: expected an integer, 0 or more, found \"xxxxx"),
        ("/policy", json!("lenient"), "policy: expected \"default\" or \"reference\", found \"lenient\""),
        ("/policy", json!(null), "policy: expected \"default\" or \"reference\", found null"),
        ("/policy", json!({"base": "other"}), "policy.base: expected \"default\" or \"reference\", found \"other\""),
        ("/policy", json!({"refresh_timeout": -5}), "policy.refresh_timeout: expected an integer, 0 or more, found -5"),
        ("/policy", json!({"retry_max": "1s"}), "policy.retry_max: expected an integer, 0 or more, found \"1s\""),
        ("/policy", json!({"background_window": null}), "policy.background_window: expected an integer"),
        ("/policy", json!({"jitter": "half"}), "policy.jitter: expected a number, found \"half\""),
        (
            "/policy",
            json!({"undecodable_tokens": true}),
            "policy.undecodable_tokens: expected \"accept\" or \"reject\"",
        ),
        ("/policy", json!({"renew_before_half": 1}), "policy.renew_before_half: expected true or false, found 1"),
        ("/credential", json!([]), "credential: expected an object, found []"),
        ("/credential/refresh_proactively", json!("yes"), "credential.refresh_proactively: expected true or false"),
        ("/credential/opaque_token_lifetime", json!(-1), "credential.opaque_token_lifetime: expected seconds"),
        ("/credential/initial_token", json!("eyJ"), "credential.initial_token: expected an object, found \"eyJ\""),
        ("/credential/initial_token", json!({}), "credential.initial_token: expected one of exp"),
        ("/credential/initial_token", json!({"iat": 1}), "credential.initial_token: expected one of exp"),
        ("/credential/initial_token", json!({"exp": 1, "raw": "x"}), "credential.initial_token: expected one of exp"),
        ("/credential/initial_token", json!({"exp": "1"}), "credential.initial_token.exp: expected a number"),
        ("/credential/initial_token", json!({"opaque": false}), "credential.initial_token: expected one of exp"),
        ("/credential/initial_token", json!({"expires_in": -1}), "credential.initial_token: expected one of exp"),
        (
            "/credential",
            json!({"static": {"exp": 1}, "initial_token": {"exp": 2}}),
            "credential.initial_token: a static credential has no initial token",
        ),
        ("/refresher", json!({}), "refresher: expected an array, found {}"),
        ("/refresher/0", json!(5), "refresher[0]: expected an object, found 5"),
        ("/refresher/0", json!({"after": 1}), "refresher[0]: expected either a token or an error"),
        ("/refresher/1/error", json!("too"), "refresher[1]: expected either a token or an error"),
        ("/refresher/1/permanent", json!(true), "refresher[1].permanent: only an error has it"),
        ("/refresher/0/after", json!(-1), "refresher[0].after: expected an integer, 0 or more, found -1"),
        ("/refresher/0", json!({"error": "x"}), "refresher[0].after: missing"),
        ("/script/0/at", json!(-2_000), "script[0].at: expected an integer, 0 or more, found -2000"),
        ("/script/0/do", json!("sleep"), "script[0].do: expected get_token, cancel, reject, dispose, try_now"),
        ("/script/1", json!({"at": 1, "do": "suspend", "for": -1}), "script[1].for: expected an integer, 0 or more"),
        ("/script/1", json!({"at": 1, "do": "step_wall_clock"}), "script[1].by: missing"),
        ("/script/1", json!({"at": 1, "do": "get_token"}), "script[1].id: missing"),
        ("/script/1", json!({"at": 1, "do": "dispose", "id": "a"}), "script[1].id: unknown field"),
        (
            "/expected/0/event",
            json!("called"),
            "expected[0].event: expected refresher_called, source_called, exchange_requested, token",
        ),
        ("/expected/1", json!({"event": "token"}), "expected[1].at: missing"),
    ];
    for (place, wrong, message) in table {
        let mut broken = scenario("broken");
        let (parent, field) = place.rsplit_once('/').unwrap();
        match broken.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[field.parse::<usize>().unwrap()] = wrong,
            object => object[field] = wrong,
        }
        for (text, which) in
            [(broken.to_string(), "scenario \"broken\""), (json!([scenario("fine"), broken]).to_string(), "scenario 2")]
        {
            let ran = run(&["--check", file("broken.json", text)], "");
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{place}: {ran:?}");
            // An invalid name is not printed.
            let which = if place == "/name" && !which.ends_with('2') { "the scenario" } else { which };
            assert!(ran.err.starts_with(&format!("simulate: broken.json: {which}")), "{place}: {}", ran.err);
            assert!(place == "/name" || ran.err.contains("\"broken\""), "{place}: {}", ran.err);
            assert!(ran.err.contains(&format!(": {message}")), "{place}: {}", ran.err);
            assert!(ran.err.len() < 300, "short enough to read: {}", ran.err);
        }
    }
    for field in ["name", "start", "credential", "until"] {
        let mut broken = scenario("broken");
        broken.as_object_mut().unwrap().remove(field);
        let ran = run(&["-"], &broken.to_string());
        assert_eq!(ran.code, 2, "{field}: {ran:?}");
        assert!(ran.err.starts_with("simulate: standard input: ") && ran.err.contains(&format!(": {field}: missing")));
    }
    let mut unchecked = scenario("unchecked");
    unchecked.as_object_mut().unwrap().remove("expected");
    let ran = run(&["--check", "-"], &json!([scenario("fine"), unchecked]).to_string());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(ran.err, "simulate: standard input: scenario \"unchecked\": expected: missing\n");
    assert_eq!(run(&["-"], &unchecked.to_string()).code, 0, "only a check needs it");
}

/// Fails when a field of an Entra user's scenario is not checked.
#[test]
fn errors_in_an_entra_users_scenario_name_the_field() {
    let good = json!({
        "name": "entra", "start": 0, "credential": {"entra": {"signed_in": "alice/1"}}, "until": 0,
        "source": [{"after": 0}], "exchange": [{"after": 0, "status": 500}], "script": [],
    });
    assert_eq!(run(&["-"], &good.to_string()).code, 0);
    for (field, wrong, message) in [
        ("credential", json!({"entra": {"user": "a"}}), "credential.entra.user: unknown field"),
        ("credential", json!({"entra": {"prewarm": 1}}), "credential.entra.prewarm: expected true or false"),
        ("credential", json!({"entra": {"scopes": "x"}}), "credential.entra.scopes: expected an array"),
        (
            "credential",
            json!({"entra": {}, "initial_token": {"exp": 1}}),
            "credential.initial_token: an Entra credential",
        ),
        ("credential", json!({"entra": {}, "static": {"exp": 1}}), "credential.entra: a static credential has no user"),
        ("source", json!([{"after": 0, "token": "x"}]), "source[0].token: unknown field"),
        ("source", json!([{"after": 0, "permanent": true}]), "source[0].permanent: only an error has it"),
        ("source", json!([{"after": 0, "blank": true, "error": "x"}]), "source[0]: expected either an error, or blank"),
        ("exchange", json!([{"after": 0}]), "exchange[0]: expected one of token, status"),
        ("exchange", json!([{"after": 0, "status": 200, "unreachable": "x"}]), "exchange[0]: expected one of token"),
        ("exchange", json!([{"after": 0, "body": "{}"}]), "exchange[0]: expected one of token, status"),
        ("exchange", json!([{"after": 0, "status": -1}]), "exchange[0].status: expected"),
        (
            "exchange",
            json!([{"after": 0, "status": 503, "headers": {"a": 1}}]),
            "exchange[0].headers.a: expected a string",
        ),
        ("script", json!([{"at": 0, "do": "sign_in"}]), "script[0].with: missing"),
        ("script", json!([{"at": 0, "do": "sign_out", "with": "x"}]), "script[0].with: unknown field"),
        (
            "policy",
            json!({"check_source": "never"}),
            "policy.check_source: expected \"on_refresh\" or \"each_request\"",
        ),
    ] {
        let mut broken = good.clone();
        broken[field] = wrong.clone();
        let ran = run(&["-"], &broken.to_string());
        assert_eq!(ran.code, 2, "{wrong}: {ran:?}");
        assert!(ran.err.contains(&format!(": {message}")), "{wrong}: {}", ran.err);
    }
}

/// Fails when a file that is not a scenario file does not end with 2 and the file's name.
#[test]
fn a_file_that_is_not_a_scenario_file_is_refused_by_name() {
    for (name, content, message) in [
        ("text.json", "once upon a time", "not JSON: expected value at line 1 column 1"),
        ("nothing.json", "", "not JSON: EOF"),
        ("cut.json", "[{\"name\": \"x\"", "not JSON: EOF"),
        ("two-objects.json", "{}{}", "not JSON: trailing characters"),
        ("number.json", "5", "the scenario: expected an object, found 5"),
        ("list.json", "[[]]", "scenario 1: expected an object, found []"),
    ] {
        let ran = run(&[file(name, content)], "");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{name}: {ran:?}");
        assert!(ran.err.starts_with(&format!("simulate: {name}: {message}")), "{}", ran.err);
    }
    let ran = run(&[file("latin1.json", b"\"\xe9\"")], "");
    assert!(ran.code == 2 && ran.err.starts_with("simulate: latin1.json: "), "{ran:?}");
    for missing in ["missing.json", "."] {
        let ran = run(&[missing], "");
        assert!(ran.code == 2 && ran.err.starts_with(&format!("simulate: {missing}: ")), "{ran:?}");
    }
    // The results of earlier files are printed.
    let ran = run(&[file("first.json", scenario("first").to_string()), "missing.json"], "");
    assert_eq!((ran.code, lines(&ran.out).len()), (2, 1), "{ran:?}");
}

/// Fails when a wrong option is taken for a file, or help is an error.
#[test]
fn wrong_usage_ends_with_2_and_the_help() {
    for (arguments, message) in [
        (&[][..], "no file given"),
        (&["--check"], "no file given"),
        (&["--verbose", "-"], "unknown option --verbose"),
        (&["-x"], "unknown option -x"),
        (&["--policy"], "--policy takes default or reference, not nothing"),
        (&["--policy", "lenient", "-"], "--policy takes default or reference, not lenient"),
        (&["--policy", "default", "--policy", "default", "-"], "--policy was given more than once"),
        (&["--svg"], "--svg takes the name of a file to write"),
        (&["--svg", "a.svg"], "no file given"),
        (&["--svg", "a.svg", "--check", "-"], "--svg and --check exclude each other"),
        (&["--svg", "a.svg", "--width", "wide", "-"], "--width takes a number from 320 to 4000, not \"wide\""),
        (&["--width", "400", "-"], "--width is for --svg"),
    ] {
        let ran = run(arguments, "[]");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.starts_with(&format!("simulate: {message}\n")), "{}", ran.err);
        assert!(ran.err.contains("Usage: simulate"), "{}", ran.err);
    }
    for help in ["--help", "-h"] {
        let ran = run(&[help], "");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(ran.out.contains("Usage: simulate") && ran.out.contains("Exit status"), "{}", ran.out);
    }
}

/// Fails when `--svg` is ignored, draws under another policy or width, or writes elsewhere.
#[test]
fn it_draws_one_scenario_as_it_is_in_the_documentation() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/timelines");
    let scenario_file = format!("{docs}/outage.json");
    let two = ["--policy", "default", "--policy", "reference"];
    for (width, name) in [("830", "outage.svg"), ("400", "outage-narrow.svg")] {
        let arguments = [&["--svg", "drawn.svg", "--width", width], &two[..], &[&scenario_file]].concat();
        let ran = run(&arguments, "");
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
        let drawn = std::fs::read_to_string(Path::new(env!("CARGO_TARGET_TMPDIR")).join("drawn.svg")).unwrap();
        assert_eq!(drawn, std::fs::read_to_string(format!("{docs}/{name}")).unwrap());
    }
    let ran = run(&["--svg", "-", &scenario_file], "");
    assert!(ran.out.starts_with("<svg ") && ran.out.contains("the scenario&#39;s policy"), "{}", ran.out);
    let many = file("many.json", json!([scenario("one"), scenario("two")]).to_string());
    for (arguments, message) in [
        (&["--svg", "-", many][..], "many.json: --svg draws one scenario, and this file has 1 more"),
        (&["--svg", "-", many, many], "--svg draws one file, not 2"),
    ] {
        let ran = run(arguments, "");
        assert_eq!((ran.code, ran.out.as_str(), ran.err), (2, "", format!("simulate: {message}\n")));
    }
}

/// Fails when a request is not shown, or is shown without a part, or with a token's text instead of its name.
#[test]
fn the_requests_of_an_entra_user_are_printed_with_tokens_by_their_names() {
    let life = json!({
        "name": "signs in anew after a 401",
        "start": 1_700_000_000,
        "policy": {"exchange_jitter": 0},
        "credential": {"entra": {"signed_in": "alice/1"}},
        "source": [{"after": 0}, {"after": 5}],
        "exchange": [{"after": 10, "status": 401}, {"after": 10, "token": {"exp": 3600}}],
        "script": [{"at": 5, "do": "sign_in", "with": "alice/2"}],
        "until": 100,
    });
    let ran = run(&["-"], &life.to_string());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    let requests = printed["requests"].as_array().expect("an Entra user has them");
    let sent: Vec<_> = requests.iter().map(|request| (request["at"].clone(), request["call"].clone())).collect();
    assert_eq!(sent, [(json!(0), json!(1)), (json!(15), json!(2))]);
    for (request, entra) in requests.iter().zip(["alice/1", "alice/2"]) {
        assert_eq!(request["headers"]["Authorization"], format!("Bearer {entra}"));
        assert_eq!(request["headers"]["Content-Type"], "application/json");
        assert_eq!((&request["method"], &request["body"]), (&json!("POST"), &json!("{}")));
        let url = request["url"].as_str().unwrap();
        assert!(url.starts_with("https://contoso.communication.azure.com/access/entra/:exchangeAccessToken?"), "{url}");
    }
    let plain = run(&["-"], &scenario("plain").to_string());
    assert!(!plain.out.contains("requests"), "{plain:?}");
}

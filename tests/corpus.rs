//! What the fuzzer has found so far, on stable: `fuzz/corpus` holds what widened its view, `fuzz/regressions` what once
//! broke something. A crash goes into the latter, under the name of its target.

use std::path::Path;

mod support;

use support::fuzzed;

fn replay(target: &str, body: fn(&[u8])) -> usize {
    let mut replayed = 0;
    for folder in ["fuzz/corpus", "fuzz/regressions"] {
        let Ok(files) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target)) else {
            continue;
        };
        for file in files {
            let file = file.unwrap().path();
            let bytes = std::fs::read(&file).unwrap();
            if let Err(panic) = std::panic::catch_unwind(|| body(&bytes)) {
                eprintln!("{} breaks it", file.display());
                std::panic::resume_unwind(panic);
            }
            replayed += 1;
        }
    }
    println!("{target}: {replayed} files replayed");
    replayed
}

/// Bites when the fuzzer's corpus is lost, or when `token.rs` takes a blank string.
#[test]
fn no_string_of_the_corpus_confuses_the_parser() {
    assert!(replay("token", fuzzed::token) > 20, "the corpus is gone");
}

/// Bites when the fuzzer's corpus is lost, or when `Machine::answered` takes any request for the one in flight.
#[test]
fn no_life_of_the_corpus_breaks_a_law() {
    assert!(replay("machine", fuzzed::machine) > 20, "the corpus is gone");
}

/// Bites when the fuzzer's corpus is lost, or when `read` of `wire.rs` lets a second model pass.
#[test]
fn no_text_of_the_corpus_confuses_the_identifiers() {
    assert!(replay("identifier", fuzzed::identifier) > 20, "the corpus is gone");
}

/// Bites when the fuzzer's corpus is lost, or when `scrub` leaves an Entra token where the service quotes it.
#[test]
fn no_exchange_of_the_corpus_breaks_a_law_or_shows_a_secret() {
    assert!(replay("exchange", fuzzed::exchange) > 20, "the corpus is gone");
}

/// Bites when the fuzzer's corpus is lost, or when `build` of `policy.rs` drops a check or `millis` rounds down.
#[test]
fn no_policy_of_the_corpus_is_refused_without_a_reason_or_breaks_a_law() {
    assert!(replay("policy", fuzzed::policy) > 20, "the corpus is gone");
}

/// Bites when the fuzzer's corpus is lost, or when `observed` of `scenario.rs` forgets an event of the timelines.
#[test]
fn no_scenario_of_the_corpus_confuses_the_parser_or_cannot_be_played() {
    assert!(replay("scenario", fuzzed::scenario) > 20, "the corpus is gone");
}

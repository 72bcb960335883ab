//! Replays the fuzzer's findings, on stable. `fuzz/corpus` holds the inputs that reached new code, one tar for each
//! target.
//! `fuzz/regressions` holds the inputs that once failed. A crash goes there, in the folder of its target.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

mod support;

use support::fuzzed;

/// A file's name and its content.
type Input = (String, Vec<u8>);

fn replay(target: &str, body: fn(&[u8])) {
    let inputs = [corpus(target), regressions(target)].concat();
    for (name, bytes) in &inputs {
        if let Err(panic) = std::panic::catch_unwind(|| body(bytes)) {
            eprintln!("{name} fails");
            std::panic::resume_unwind(panic);
        }
    }
    println!("{target}: {} files replayed", inputs.len());
}

fn corpus(target: &str) -> Vec<Input> {
    let tar = format!("fuzz/corpus/{target}.tar");
    let bytes = std::fs::read(in_repository(&tar)).unwrap_or_else(|error| panic!("{tar}: {error}"));
    let entries = entries(&bytes).unwrap_or_else(|error| panic!("{tar}: {error}"));
    assert!(entries.len() > 20, "{tar}: the corpus is lost, only {} entries are left", entries.len());
    entries.into_iter().map(|(name, content)| (format!("{name} of {tar}"), content)).collect()
}

fn regressions(target: &str) -> Vec<Input> {
    let folder = format!("fuzz/regressions/{target}");
    let files = match std::fs::read_dir(in_repository(&folder)) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => panic!("{folder}: {error}"),
    };
    files
        .map(|file| {
            let path = file.unwrap().path();
            (path.display().to_string(), std::fs::read(&path).unwrap())
        })
        .collect()
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files in a ustar archive, or what is wrong with it. Each file is a header of one block, then its content in
/// whole blocks. Blocks of zeros end the archive.
fn entries(tar: &[u8]) -> Result<Vec<Input>, String> {
    const BLOCK: usize = 512;

    let mut entries = Vec::new();
    let mut rest = tar;
    loop {
        let at = tar.len() - rest.len();
        let Some((header, after)) = rest.split_first_chunk::<BLOCK>() else {
            return Err(format!("cut off at byte {at}, where a header or the end is due"));
        };
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(entries);
        }
        // The checksum is computed with its own field blank.
        let sum = [&header[..148], &[b' '; 8], &header[156..]].concat().iter().map(|byte| u64::from(*byte)).sum();
        if octal(&header[148..156]) != Some(sum) {
            return Err(format!("the header at byte {at} does not match its checksum"));
        }
        let name = text(&header[..100]);
        if header[156] != b'0' {
            return Err(format!("{name} is not a plain file"));
        }
        let Some(size) = octal(&header[124..136]).and_then(|size| usize::try_from(size).ok()) else {
            return Err(format!("the size of {name} is not an octal number"));
        };
        let (Some(content), Some(next)) = (after.get(..size), after.get(size.next_multiple_of(BLOCK)..)) else {
            return Err(format!("cut off within {name}: {size} bytes are due, {} are left", after.len()));
        };
        entries.push((name, content.to_vec()));
        rest = next;
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    u64::from_str_radix(&text(field), 8).ok()
}

/// A field of a header, up to its first zero.
fn text(field: &[u8]) -> String {
    field.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}

/// Fails when the fuzzer's corpus is lost, or when `token.rs` accepts a blank string.
#[test]
fn no_string_of_the_corpus_confuses_the_parser() {
    replay("token", fuzzed::token);
}

/// Fails when the fuzzer's corpus is lost, or when `is_call` takes any request for the one in flight.
#[test]
fn no_run_of_the_corpus_breaks_a_law() {
    replay("machine", fuzzed::machine);
}

/// Fails when the fuzzer's corpus is lost, or when `read` of `wire.rs` accepts a second model.
#[test]
fn no_text_of_the_corpus_confuses_the_identifiers() {
    replay("identifier", fuzzed::identifier);
}

/// Fails when the fuzzer's corpus is lost, or when `scrub` leaves an Entra token where the service quotes it.
#[test]
fn no_exchange_of_the_corpus_breaks_a_law_or_shows_a_secret() {
    replay("exchange", fuzzed::exchange);
}

/// Fails when the fuzzer's corpus is lost, when `Call` sends twice what cannot be sent twice, or when its `Debug` shows a token.
#[test]
fn no_call_of_the_corpus_breaks_a_law_or_shows_a_token() {
    replay("call", fuzzed::call);
}

/// Fails when the fuzzer's corpus is lost, or when `usable` takes a record that was rejected here.
#[test]
fn no_run_of_the_corpus_breaks_a_law_of_the_shared_store() {
    replay("sharing", fuzzed::sharing);
}

/// Fails when the fuzzer's corpus is lost, or when `build` of `policy.rs` drops a check or `millis` rounds down.
#[test]
fn no_policy_of_the_corpus_is_refused_without_a_reason_or_breaks_a_law() {
    replay("policy", fuzzed::policy);
}

/// Fails when the fuzzer's corpus is lost, or when `observed` of `scenario.rs` forgets an event of the timelines.
#[test]
fn no_scenario_of_the_corpus_confuses_the_parser_or_cannot_be_played() {
    replay("scenario", fuzzed::scenario);
}

//! Runs an example as a process, and returns what it prints and how it ends.

#![allow(dead_code, unreachable_pub, reason = "each includer uses a part of it")]

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Far longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Run {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// What to do as soon as a line contains this text.
pub type At<'a> = (&'a str, fn(&Child));

/// Runs the example of this name.
pub fn run(example: &str, arguments: &[&str], at: Option<At<'_>>) -> Run {
    run_with(example, arguments, &[], at)
}

/// Runs it with these environment variables.
pub fn run_with(example: &str, arguments: &[&str], variables: &[(&str, &str)], mut at: Option<At<'_>>) -> Run {
    watch(example, arguments, variables, |line, child| {
        if let Some((_, act)) = at.take_if(|(text, _)| line.contains(*text)) {
            act(child);
        }
    })
}

/// Passes each line to `see` as soon as the example prints it.
pub fn watch(example: &str, arguments: &[&str], variables: &[(&str, &str)], mut see: impl FnMut(&str, &Child)) -> Run {
    let mut command = Command::new(executable(example));
    // The developer's environment must not change the output.
    command.env_remove("RUST_LOG").env_remove("AZURE_LOG_LEVEL");
    command
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example starts");
    let mut printed = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut errors = child.stderr.take().expect("it is piped");
    let (send, lines) = mpsc::channel();
    let reading = thread::spawn(move || {
        let mut line = String::new();
        while printed.read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = send.send(std::mem::take(&mut line));
        }
        let mut err = String::new();
        errors.read_to_string(&mut err).map(|_| err)
    });
    let (mut out, started) = (String::new(), Instant::now());
    loop {
        match lines.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            Ok(line) => {
                see(&line, &child);
                out.push_str(&line);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("the example does not end; it printed:\n{out}");
            }
        }
    }
    let status = child.wait().as_ref().ok().and_then(ExitStatus::code);
    let err = reading.join().expect("reading does not panic").expect("it prints UTF-8");
    Run { status, out, err }
}

/// Runs the example with its output closed. Returns its exit status and its standard error.
pub fn run_unread(example: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let (unread, out) = std::io::pipe().expect("a pipe");
    drop(unread);
    run_into(example, arguments, out.into())
}

/// Runs the example with standard output on a full disk.
#[cfg(target_os = "linux")]
pub fn run_on_a_full_disk(example: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    run_into(example, arguments, full.into())
}

fn run_into(example: &str, arguments: &[&str], out: Stdio) -> (Option<i32>, String) {
    let mut command = Command::new(executable(example));
    command.env_remove("RUST_LOG").env_remove("AZURE_LOG_LEVEL");
    let ran = command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped()).output();
    let ran = ran.expect("the example starts");
    (ran.status.code(), String::from_utf8(ran.stderr).expect("it prints UTF-8"))
}

/// A plain `cargo test` builds a package's examples before it runs its tests.
fn executable(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has an executable");
    let profile = test.parent().and_then(Path::parent).expect("tests are in target/<profile>/deps");
    let path = profile.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    let advice = "build it by `cargo build --examples`, or a plain `cargo test`";
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(built) = modified(&path) else { panic!("{} is missing: {advice}", path.display()) };
    // Some selections of targets (`--tests`) build no examples. An old executable must not be tested by mistake.
    let sources = fs::read_to_string(path.with_extension("d")).expect("cargo says what it was built from");
    let newer = |source: &&str| modified(Path::new(source)).is_none_or(|time: SystemTime| time > built);
    if let Some(source) = sources.split_whitespace().skip(1).find(newer) {
        panic!("{} is older than {source}: {advice}", path.display());
    }
    path
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit status {:?}, after printing\n{}{}", self.status, self.out, self.err)
    }
}

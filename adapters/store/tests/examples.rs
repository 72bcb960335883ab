//! The examples, run as processes.

#[path = "../../../tests/support/process.rs"]
mod process;

use std::fs;

/// Fails when a tool does not find the token of its last run: a second start asks the issuer again.
#[test]
fn the_second_run_of_a_tool_asks_for_nothing() {
    let folder = std::env::temp_dir().join(format!("acs-common-cli-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let path = folder.to_str().expect("the path is UTF-8");
    let first = process::run("cli", &[path], None);
    assert_eq!(first.status, Some(0), "{first}");
    let lines: Vec<&str> = first.out.lines().collect();
    assert!(lines[0].starts_with("new keys are in "), "{first}");
    assert_eq!(lines[1], "asking the issuer", "{first}");
    assert!(lines[2].starts_with("a token of the issuer, valid until "), "{first}");
    let second = process::run("cli", &[path], None);
    let expected = lines[2].replace("the issuer", "an earlier run");
    assert!(second.out.starts_with(&expected[.."a token of an earlier run, valid until 20".len()]), "{second}");
    assert_eq!(second.out.lines().count(), 1, "{second}");
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"eyJhbGci"), "{} shows the token", path.display());
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Fails when processes that share fetch more tokens than they need and than what is done to them excuses, when one of them goes
/// without, or when an entry is torn.
#[test]
fn many_hosts_on_files_keep_every_promise() {
    let run = process::run("many_hosts", &["--on", "files", "--seconds", "4", "--processes", "6"], None);
    assert_eq!(run.status, Some(0), "{run}");
    assert!(run.out.starts_with("files: 6 processes, 4 s: ") && run.out.contains("every promise was kept"), "{run}");
}

/// Fails when they do so in Redis, also while its server restarts.
#[test]
fn many_hosts_on_redis_keep_every_promise() {
    let run = process::run("many_hosts", &["--on", "redis", "--seconds", "4", "--processes", "6"], None);
    assert_eq!(run.status, Some(0), "{run}");
    let is_skipped = run.out.starts_with("skipped: there is no program `redis-server`");
    assert!(is_skipped || run.out.contains("every promise was kept"), "{run}");
}

/// Fails when processes that nothing happens to fetch a token that they do not need. (An operation that is late, because the machine is
/// busy, excuses one.)
#[test]
fn hosts_left_in_peace_fetch_what_they_need() {
    let run = process::run("many_hosts", &["--on", "files", "--calm", "--seconds", "4", "--processes", "4"], None);
    assert_eq!(run.status, Some(0), "{run}");
    assert!(run.out.starts_with("files: 4 processes, 4 s: 0 killed, 0 stopped, "), "{run}");
}

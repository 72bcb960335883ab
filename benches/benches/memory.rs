//! The memory of an idle credential, as the operating system counts it.
//! `cargo bench -p acs-common-benches --bench memory`

use acs_common::{Machine, NewToken, Policy, UnixTime};
use acs_common_benches::{at, jwt};
use acs_common_driver::RefresherError;

const MACHINES: usize = 1_000_000;
const CREDENTIALS: usize = 100_000;

fn main() {
    let jwt = jwt();
    let expires_on = UnixTime::from_secs(32_503_680_000);
    // With no spare capacity.
    let lasting = || NewToken::new(jwt.as_str()).with_expires_on(expires_on);
    // Each case has its own process, so that no case uses memory that another has freed.
    match std::env::args().find(|argument| ["machines", "tokio", "smol"].contains(&argument.as_str())).as_deref() {
        Some("machines") => {
            println!("a machine alone: {} B", size_of::<Machine<u32>>());
            let machine = || Machine::<u32>::new(Some(lasting()), Policy::default(), at(0)).expect("a good token");
            measure("idle machine", MACHINES, jwt.len(), machine);
        }
        Some("tokio") => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let _within = runtime.enter();
            let refresher = || async { Ok::<_, RefresherError>("eyJhbGci") };
            measure("idle credential on tokio: handle, task, timer", CREDENTIALS, jwt.len(), || {
                let builder = acs_common_tokio::CommunicationTokenCredential::with_refresher(refresher);
                builder.refresh_proactively(true).initial_token(lasting()).spawn().expect("a credential")
            });
        }
        Some(_) => {
            let refresher = || async { Ok::<_, RefresherError>("eyJhbGci") };
            measure("idle credential on smol: handle, task, timer", CREDENTIALS, jwt.len(), || {
                let builder = acs_common_smol::CommunicationTokenCredential::with_refresher(refresher);
                builder.refresh_proactively(true).initial_token(lasting()).spawn().expect("a credential")
            });
        }
        None => {
            println!("Resident memory, from /proc/self/statm, without the token of {} B that each holds.", jwt.len());
            let own = std::env::current_exe().expect("an executable");
            for part in ["machines", "tokio", "smol"] {
                std::process::Command::new(&own).arg(part).status().expect("it runs");
            }
        }
    }
}

fn measure<T>(what: &str, count: usize, token: usize, make: impl FnMut() -> T) {
    let (made, bytes) = grown(|| std::iter::repeat_with(make).take(count).collect::<Vec<_>>());
    match bytes {
        Some(bytes) => println!(
            "{what}: {} B each ({} of them: {} MiB, tokens included)",
            (bytes / count).saturating_sub(token),
            made.len(),
            bytes >> 20
        ),
        None => println!("{what}: not measured, because there is no /proc/self/statm"),
    }
}

/// The values that a step makes, and the growth of the process. `None`: the system does not report it.
fn grown<T>(step: impl FnOnce() -> T) -> (T, Option<usize>) {
    let before = resident();
    let made = step();
    // Wait for the background tasks to start.
    std::thread::sleep(std::time::Duration::from_secs(2));
    (made, before.and_then(|before| Some(resident()?.saturating_sub(before))))
}

/// Resident pages of 4 KiB, as on x86-64 Linux.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse::<usize>().ok().map(|pages| pages * 4_096)
}

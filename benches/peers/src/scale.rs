//! The costs that depend on the number of credentials in a process.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use acs_common::Policy;
use rustix::time::{ClockId, clock_gettime};

use crate::hosts::{HOSTS, Host};
use crate::issuer::LENGTH;
use crate::{plot, report};

/// The argument of a child process with some credentials. Each case has its own process, so that no case uses memory that
/// another has freed.
pub const CHILD: &str = "scale-child";

const COUNTS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
const TABLED: [usize; 3] = [1, 1_000, 100_000];
/// Longer than a minute, because each credential reads the clocks once a minute.
const IDLE: Duration = Duration::from_secs(61);
const PLOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scale.svg");

struct Started {
    /// Resident bytes of each, with its token. Not exact for a single one.
    bytes: f64,
    /// The time to start all of them.
    time: Duration,
}

struct Idling {
    host: Host,
    count: usize,
    started: Started,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

pub fn run() {
    // First the cost of a renewal, one host after the other; then all are idle at the same time.
    let mut renewals = Vec::new();
    for count in COUNTS {
        for host in HOSTS {
            let (child, mut lines) = spawn(host, count, "renew");
            renewals.push((host, count, figures::<2>(&mut lines)));
            wait(child);
        }
    }
    let mut idling = Vec::new();
    for count in TABLED {
        for host in HOSTS {
            let (child, mut lines) = spawn(host, count, "idle");
            let [bytes, nanos] = figures(&mut lines);
            let started = Started { bytes, time: Duration::from_nanos(nanos as u64) };
            idling.push(Idling { host, count, started, child, lines });
        }
    }
    println!("\n## Scale\n");
    println!(
        "Credentials that renew by timer, in a separate process, with a source that returns {LENGTH} B at once: machines of the \
        core that one loop drives, tasks on tokio, tasks on smol. Memory is the growth of the process, without the tokens. \
        Renewal is the processor time of the whole process for one renewal, with its timer. Idle is the processor time in {} s, \
        while the next renewal is more than an hour away: each credential reads the clocks once a minute.\n",
        IDLE.as_secs()
    );
    report::head(&[
        "credentials",
        "host",
        "memory each",
        "start of all",
        "start of each",
        "a renewal",
        "idle, all of them",
    ]);
    let mut verdicts = Vec::new();
    for mut idle in idling {
        let [nanos] = figures(&mut idle.lines);
        wait(idle.child);
        let renewal = renewals.iter().find(|(host, count, _)| *host == idle.host && *count == idle.count);
        let memory = idle.started.bytes - LENGTH as f64;
        if let Some(most) = idle.host.most().filter(|_| idle.count == 100_000) {
            let what = format!("{}: {memory:.0} B each, ≤ {most:.0}", idle.host.name());
            verdicts.push(report::Verdict { what, held: memory <= most });
        }
        report::row(&[
            idle.count.to_string(),
            idle.host.name().to_owned(),
            if idle.count == 1 { "–".to_owned() } else { format!("{memory:.0} B") },
            format!("{:.1} ms", idle.started.time.as_secs_f64() * 1e3),
            micros(idle.started.time.as_secs_f64() * 1e9 / idle.count as f64),
            renewal.map_or_else(String::new, |(.., figures)| micros(figures[1])),
            format!("{:.2} ms ({:.4} %)", nanos / 1e6, nanos / IDLE.as_nanos() as f64 * 100.0),
        ]);
    }
    report::verdicts(&verdicts);
    growth(&renewals);
}

fn growth(renewals: &[(Host, usize, [f64; 2])]) {
    println!("\nThe same as it grows: to start one, and to renew one.\n");
    let mut header = vec!["credentials".to_owned()];
    for what in ["start", "renewal"] {
        header.extend(HOSTS.map(|host| format!("{what}, {}", host.name())));
    }
    report::head(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let of = |host: Host, count: usize, what: usize| {
        let found = renewals.iter().find(|(at, many, _)| *at == host && *many == count);
        found.map_or(f64::NAN, |(.., figures)| figures[what])
    };
    for count in COUNTS {
        let mut cells = vec![count.to_string()];
        for what in [0, 1] {
            cells.extend(HOSTS.map(|host| micros(of(host, count, what))));
        }
        report::row(&cells);
    }
    let panels =
        ["wall clock to start one", "processor time to renew one"].into_iter().enumerate().map(|(what, title)| {
            let lines = HOSTS.map(|host| {
                let points = COUNTS.map(|count| (count as f64, of(host, count, what) / 1e3));
                plot::Line { name: host.name(), points: points.to_vec() }
            });
            plot::Panel { title, lines: lines.to_vec() }
        });
    let mut svg = String::new();
    write!(svg, "{}", plot::Plot { panels: panels.collect(), across: "credentials", up: "µs" })
        .expect("a string takes all");
    match std::fs::write(PLOT, svg) {
        Ok(()) => println!("\n![The same, drawn](scale.svg)"),
        Err(error) => eprintln!("cannot write the plot to {PLOT}: {error}"),
    }
}

fn micros(nanos: f64) -> String {
    format!("{:.1} µs", nanos / 1e3)
}

fn spawn(host: Host, count: usize, what: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let own = std::env::current_exe().expect("an executable");
    let mut command = Command::new(own);
    let command = command.args([CHILD, host.name(), &count.to_string(), what]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    (child, lines)
}

fn wait(mut child: Child) {
    assert!(child.wait().expect("it ends").success(), "a process of credentials failed");
}

fn figures<const N: usize>(lines: &mut Lines<BufReader<ChildStdout>>) -> [f64; N] {
    let line = lines.next().expect("a line").expect("it is read");
    let figures = line.split(' ').map(|figure| figure.parse().expect("a figure")).collect::<Vec<_>>();
    figures.try_into().expect("as many as that")
}

/// The work of a child process.
pub fn child(arguments: &[String]) {
    let [host, count, what] = arguments else { panic!("{CHILD} HOST COUNT idle|renew") };
    let host = HOSTS.into_iter().find(|known| known.name() == host).expect("a host");
    let count = count.parse().expect("a count");
    if what == "idle" { idle(host, count) } else { renew(host, count) }
}

fn idle(host: Host, count: usize) {
    let policy = Policy::builder().refresh_proactively(true).build().expect("a good policy");
    let (before, start) = (resident(), Instant::now());
    let mut fleet = host.start(count, Duration::from_secs(2 * 60 * 60), &policy);
    let time = start.elapsed();
    // Wait until the tasks have stored their tokens.
    fleet.run(Duration::from_secs(1));
    println!("{} {}", resident().saturating_sub(before) as f64 / count as f64, time.as_nanos());
    let before = processor_time();
    fleet.run(IDLE);
    println!("{}", (processor_time() - before).as_nanos());
}

fn renew(host: Host, count: usize) {
    // At most about 20,000 a second, so that there is time to sleep.
    let life =
        Duration::from_millis(100).max(Duration::from_micros(50) * u32::try_from(count).expect("the number fits") * 3);
    let policy = Policy::builder().refresh_proactively(true).min_refresh_interval(Duration::ZERO).jitter(0.5);
    let policy = policy.build().expect("a good policy");
    let start = Instant::now();
    let mut fleet = host.start(count, life, &policy);
    let started = start.elapsed();
    let (before, fetches) = (processor_time(), fleet.fetches());
    fleet.run(Duration::from_secs(2).max(life / 2));
    let renewals = fleet.fetches() - fetches;
    let each = (processor_time() - before).as_nanos() as f64 / renewals as f64;
    println!("{} {each}", started.as_nanos() as f64 / count as f64);
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

/// Resident pages of 4 KiB, as on x86-64 Linux.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).map_or(0, |pages| pages * 4_096)
}

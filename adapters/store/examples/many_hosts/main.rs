//! Twenty processes share one token, in files and in Redis, while some of them are killed, some are stopped for a while, the
//! server restarts, and the newest token is revoked. At the end it counts, from the issuer's side, how many tokens were needed and how many were issued.
//!
//! The processes are this program, started again with `--host`. The issuer is this process: it answers on the loopback interface.

mod issuer;
mod member;
mod report;
#[path = "../../tests/redis/server.rs"]
mod server;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use acs_common_store::FileStore;
use issuer::Issuer;
use member::Member;
use report::Report;
use server::Server;

const HELP: &str = "\
Twenty processes share one token, while some are killed or stopped and the server restarts.

Usage: many_hosts [--on files | --on redis] [--seconds N] [--processes N] [--calm]

  --on WHERE      only there (default: in files, then in Redis)
  --seconds N     how long, for each (default: 30)
  --processes N   how many processes (default: 20)
  --calm          nothing is killed, stopped or restarted; tokens are revoked all the same

Exit status: 0 every promise was kept; 1 a promise was broken (the summary says which); 2 wrong usage.";

#[derive(Clone)]
struct Options {
    on: Option<String>,
    seconds: u64,
    processes: usize,
    calm: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, store, issuer] = &arguments[..]
        && flag == "--host"
    {
        return member::run(store, issuer);
    }
    let Some(options) = read(&arguments) else {
        println!("{HELP}");
        return ExitCode::from(2);
    };
    let mut kept = true;
    for place in ["files", "redis"] {
        if options.on.as_deref().is_none_or(|on| on == place) {
            let report = if place == "files" { on_files(&options) } else { on_redis(&options) };
            if let Some(report) = report {
                println!("{place}: {report}");
                kept &= report.is_kept();
            }
        }
    }
    ExitCode::from(u8::from(!kept))
}

fn read(arguments: &[String]) -> Option<Options> {
    let mut options = Options { on: None, seconds: 30, processes: 20, calm: false };
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        match flag.as_str() {
            "--calm" => options.calm = true,
            "--on" => options.on = Some(rest.next().filter(|on| ["files", "redis"].contains(&on.as_str()))?.clone()),
            "--seconds" => options.seconds = rest.next()?.parse().ok().filter(|seconds| *seconds > 0)?,
            "--processes" => options.processes = rest.next()?.parse().ok().filter(|processes| *processes > 0)?,
            _ => return None,
        }
    }
    Some(options)
}

fn on_files(options: &Options) -> Option<Report> {
    let folder = std::env::temp_dir().join(format!("acs-common-many-hosts-{}", std::process::id()));
    let mut report = run(options, &format!("files:{}", folder.display()), None);
    // What is left must be whole.
    let store = FileStore::new(&folder).expect("the folder is there");
    report.torn = futures_lite::future::block_on(member::is_torn(&store));
    std::fs::remove_dir_all(folder).expect("it can be deleted");
    Some(report)
}

fn on_redis(options: &Options) -> Option<Report> {
    let server = Server::start()?;
    let url = server.url();
    Some(run(options, &url, Some(server)))
}

/// Starts the processes, does them harm, and counts.
fn run(options: &Options, store: &str, mut server: Option<Server>) -> Report {
    // Long enough that a machine which is busy with twenty processes does not let it expire on its way.
    let issuer = Issuer::start(Duration::from_secs(if options.seconds < 20 { 4 } else { 12 }));
    let start = || Member::start(store, &issuer.address());
    let mut members: Vec<Member> = (0..options.processes).map(|_| start()).collect();
    let mut gone: Vec<Member> = Vec::new();
    let mut report = Report::default();
    (report.processes, report.seconds) = (options.processes, options.seconds);
    let (began, end) = (Instant::now(), Duration::from_secs(options.seconds));
    let mut random = Random(u64::from(std::process::id()));
    // So far apart that a token which replaces a revoked one is used up before the next is revoked.
    let revoke_every = Duration::from_secs(20).min(end / 2);
    let (mut next_revoked, mut revoked) = (revoke_every, 0);
    // Ten a minute of each; in a short run more often, so that something happens.
    let every = Duration::from_secs(3).min(end / 5);
    let (mut next_harm, mut harmed) = (every, 0);
    // The end is quiet, so that all have a token at last.
    while began.elapsed() < end {
        std::thread::sleep(Duration::from_millis(10));
        members.iter_mut().for_each(Member::go_on);
        if began.elapsed() > next_revoked
            && began.elapsed() + every < end
            && let Some(number) = issuer.revoke()
        {
            (next_revoked, revoked) = (next_revoked + revoke_every, number);
            members.iter_mut().for_each(|member| member.refuse(revoked));
        }
        let is_time = began.elapsed() > next_harm && began.elapsed() + every < end;
        if options.calm || !is_time {
            continue;
        }
        // Every second time the one that holds the lease: it waits for the issuer.
        let victim = if harmed % 2 == 0 {
            let Some(asking) = issuer.asking() else { continue };
            let Some(victim) = members.iter().position(|member| member.id() == asking) else { continue };
            victim
        } else {
            random.below(members.len())
        };
        harmed += 1;
        next_harm += every;
        match random.below(if server.is_some() { 5 } else { 4 }) {
            0 | 1 => {
                let mut killed = std::mem::replace(&mut members[victim], start());
                members[victim].refuse(revoked);
                killed.kill();
                gone.push(killed);
                report.kills += 1;
            }
            2 | 3 => {
                // Often longer than a lease, and shorter than a token lives: what it asked for is then still of use.
                let pause = Duration::from_millis(500 + 100 * random.below(26) as u64);
                if members[victim].stop_for(pause) {
                    report.stops += 1;
                }
            }
            _ => {
                if let Some(server) = &mut server {
                    server.stop();
                    std::thread::sleep(Duration::from_millis(random.below(400) as u64));
                    server.restart();
                    report.restarts += 1;
                }
            }
        }
    }
    for mut member in members {
        member.end();
        gone.push(member);
    }
    report.count(&issuer, &gone);
    report
}

/// Which process is harmed, and how.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % bound as u64) as usize
    }
}

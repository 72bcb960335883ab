//! What it costs to put a held token on a request, over the same call without it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::runtime::Runtime;

use crate::refused::{self, Host, Make, Service};
use crate::report::{self, Verdict};

const ROUNDS: usize = 300;
const CALLS: u32 = 256;
const OURS_ALONE: &str = "ours: tower layer, without a replay";

/// For each kind of host, the bare one first.
const KINDS: [&[(&str, Make)]; 3] = [
    &[
        ("tower: a service that answers at once", refused::bare_service),
        (OURS_ALONE, refused::our_layer_without_replay),
        ("ours: tower layer", refused::our_layer),
        ("cf-gears-toolkit-auth: auto-refresh layer", refused::gears_layer),
    ],
    &[
        ("azure_core: a pipeline that answers at once", refused::bare_pipeline),
        ("ours: policy for the Azure SDK", refused::our_policy),
        ("azure_core: bearer policy", refused::bearer_policy),
    ],
    &[
        ("reqwest-middleware: a network that answers at once", refused::bare_client),
        ("ours: middleware for reqwest", refused::our_middleware),
        ("reqwest-middleware, by hand", refused::by_hand),
    ],
];

struct Lane {
    name: &'static str,
    host: Arc<dyn Host>,
    /// Nanoseconds per call, for each round.
    times: Vec<f64>,
    allocations: f64,
}

impl Lane {
    fn median(&self) -> f64 {
        self.times[self.times.len() / 2]
    }
}

pub fn run() {
    let runtime = Runtime::new().expect("a runtime");
    println!("\n## Overhead\n");
    println!(
        "A call whose inner service answers at once: alone, and with a held token put on it. The time is the median of {ROUNDS} rounds \
        of {CALLS} calls, taken in turns. Every call makes its request, of three headers, and boxes its future, which is large with a \
        layer. A replay needs a clone of the request, and of the service inside.\n"
    );
    report::head(&["", "ns a call", "ns more", "allocations more"]);
    let mut verdicts = Vec::new();
    for kind in KINDS {
        let mut lanes: Vec<_> = kind.iter().map(|(name, make)| runtime.block_on(lane(name, *make))).collect();
        for _ in 0..ROUNDS {
            for lane in &mut lanes {
                let took = runtime.block_on(tokio::task::unconstrained(batch(&*lane.host)));
                lane.times.push(took.as_secs_f64() * 1e9 / f64::from(CALLS));
            }
        }
        lanes.iter_mut().for_each(|lane| lane.times.sort_by(f64::total_cmp));
        let (bare, others) = lanes.split_first().expect("the bare host");
        report::row(&[bare.name.to_owned(), format!("{:.0}", bare.median()), String::new(), String::new()]);
        for lane in others {
            let (more, allocations) = (lane.median() - bare.median(), lane.allocations - bare.allocations);
            let columns = [format!("{:.0}", lane.median()), format!("{more:.0}"), format!("{allocations:.0}")];
            report::row(&[&[lane.name.to_owned()], &columns[..]].concat());
            if lane.name == OURS_ALONE {
                let gears = others.last().map_or(0.0, Lane::median) - bare.median();
                let what = format!(
                    "{OURS_ALONE}: {allocations:.0} allocations; {:.1} × as fast as cf-gears' layer",
                    gears / more
                );
                verdicts.push(Verdict { what, held: allocations == 0.0 && more < gears });
            }
        }
    }
    report::verdicts(&verdicts);
    runtime.shutdown_background();
}

async fn lane(name: &'static str, make: Make) -> Lane {
    let host = refused::with_a_token(make, &Service::prompt()).await;
    let host = host.unwrap_or_else(|error| panic!("{name}: {error}"));
    batch(&*host).await;
    let allocated = counted(&*host);
    Lane { name, host, times: Vec::new(), allocations: (allocated as f64 / f64::from(CALLS)).round() }
}

/// The allocations of a batch.
fn counted(host: &dyn Host) -> u64 {
    let counted = allocation_counter::measure(|| {
        // tokio's locks yield now and then.
        tokio::task::unconstrained(batch(host)).now_or_never().expect("nothing waits");
    });
    counted.count_total
}

async fn batch(host: &dyn Host) -> Duration {
    let start = Instant::now();
    for _ in 0..CALLS {
        std::hint::black_box(host.call().await).expect("the service answers");
    }
    start.elapsed()
}

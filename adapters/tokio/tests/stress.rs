//! The storm on tokio: on several threads, and on one.

use std::time::{Duration, Instant};

use acs_common_tokio::Tokio;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

#[path = "../../driver/tests/stress/mod.rs"]
mod stress;

impl stress::Host for Tokio {
    type Task = JoinHandle<()>;

    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self::Task {
        tokio::spawn(future)
    }

    fn abort(task: Self::Task) {
        task.abort();
    }

    fn detach(_: Self::Task) {}
}

/// Bites when `obey` keeps a call that it was told to drop, when `publish` never takes a token back, and when `Owner` does
/// not dispose of what nobody holds.
#[test]
fn a_storm_on_several_threads_breaks_no_law_and_leaves_nothing() {
    storm(&Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap());
}

/// Bites as the one above does.
#[test]
fn a_storm_on_one_thread_breaks_no_law_and_leaves_nothing() {
    storm(&Builder::new_current_thread().enable_time().build().unwrap());
}

fn storm(runtime: &Runtime) {
    runtime.block_on(async {
        stress::storm::<Tokio>().await;
        // What a task owned is dropped a little before it is counted as gone.
        let waited = Instant::now();
        while runtime.metrics().num_alive_tasks() > 0 {
            assert!(waited.elapsed() < Duration::from_secs(30), "tasks are left");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

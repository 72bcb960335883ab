//! The stress test on tokio: on several threads, and on one.

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

/// Fails when `obey` keeps a call that it must drop, when `publish` never withdraws a token, or when `Owner` does not
/// dispose a credential without handles.
#[test]
fn random_load_on_several_threads_breaks_no_law_and_leaves_nothing() {
    random_load(&Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap());
}

/// Fails in the same cases as the test above.
#[test]
fn random_load_on_one_thread_breaks_no_law_and_leaves_nothing() {
    random_load(&Builder::new_current_thread().enable_time().build().unwrap());
}

fn random_load(runtime: &Runtime) {
    runtime.block_on(async {
        stress::random_load::<Tokio>().await;
        // tokio counts a task as ended a short time after its values are dropped.
        let waited = Instant::now();
        while runtime.metrics().num_alive_tasks() > 0 {
            assert!(waited.elapsed() < Duration::from_secs(30), "some tasks have not ended");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

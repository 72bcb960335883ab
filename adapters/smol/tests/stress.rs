//! The stress test on smol.

use acs_common_smol::Smol;
use smol::Task;

#[path = "../../driver/tests/stress/mod.rs"]
mod stress;

impl stress::Host for Smol {
    type Task = Task<()>;

    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self::Task {
        smol::spawn(future)
    }

    fn abort(task: Self::Task) {
        drop(task);
    }

    fn detach(task: Self::Task) {
        task.detach();
    }
}

/// Fails in the same cases as the tests on tokio.
#[test]
fn random_load_breaks_no_law_and_leaves_nothing() {
    smol::block_on(stress::random_load::<Smol>());
}

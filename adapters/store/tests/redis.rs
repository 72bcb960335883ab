//! The store in Redis, on tokio and on smol. Each test starts a `redis-server` of its own. Without that program they say so, and are
//! skipped.

#[path = "conformance/mod.rs"]
mod conformance;
#[path = "redis/mod.rs"]
mod host;

mod on_tokio {
    crate::conformance!(crate::host::Redis::on_tokio());
}

mod on_smol {
    crate::conformance!(crate::host::Redis::on_smol());
}

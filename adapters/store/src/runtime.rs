//! What the hosts need of an async runtime: tokio where one runs, else smol.

use crate::error::StoreError;
#[cfg(any(feature = "tokio", not(feature = "smol")))]
use crate::error::StoreErrorKind;

/// Runs work that blocks on the runtime's pool for such work. If the future is dropped, the work goes on.
#[cfg(feature = "file")]
pub(crate) async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        return runtime.spawn_blocking(work).await.map_err(|error| {
            StoreError::new(StoreErrorKind::Unavailable, "the runtime is shutting down").with_source(error)
        });
    }
    #[cfg(feature = "smol")]
    return Ok(smol::unblock(work).await);
    #[cfg(not(feature = "smol"))]
    Err(no_runtime())
}

/// Runs a future in the background.
#[cfg(feature = "redis")]
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Result<(), StoreError> {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(future);
        return Ok(());
    }
    #[cfg(feature = "smol")]
    {
        smol::spawn(future).detach();
        Ok(())
    }
    #[cfg(not(feature = "smol"))]
    Err(no_runtime())
}

/// Waits. Fails if there is no runtime.
#[cfg(feature = "file")]
pub(crate) async fn sleep(duration: std::time::Duration) -> Result<(), StoreError> {
    #[cfg(feature = "tokio")]
    if tokio::runtime::Handle::try_current().is_ok() {
        tokio::time::sleep(duration).await;
        return Ok(());
    }
    #[cfg(feature = "smol")]
    {
        smol::Timer::after(duration).await;
        Ok(())
    }
    #[cfg(not(feature = "smol"))]
    Err(no_runtime())
}

#[cfg(not(feature = "smol"))]
fn no_runtime() -> StoreError {
    StoreError::new(
        StoreErrorKind::Misused,
        "no tokio runtime runs here: poll this inside one, or enable the feature `smol`",
    )
}

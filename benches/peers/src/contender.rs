//! What everybody who is measured has in common.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use crate::issuer::Issuer;

pub type Answer = Result<(), String>;

/// One credential, of whatever kind, that gets its tokens from an [`Issuer`].
pub trait Peer: Sized + Send + Sync + 'static {
    const FACTS: Facts;
    /// What a thread keeps to itself between calls: a request to be authorized, say.
    type Own: Send;

    fn new(issuer: Issuer) -> impl Future<Output = Result<Self, String>> + Send;

    fn own(&self) -> Self::Own;

    /// Gets a token by the public interface, looks at it and lets go of it.
    fn call(&self, own: &mut Self::Own) -> impl Future<Output = Answer> + Send;
}

#[derive(Clone, Copy)]
pub struct Facts {
    pub name: &'static str,
    /// Where its version stands in the lock file; none for a floor.
    pub package: Option<&'static str>,
    pub kind: Kind,
    pub returns: &'static str,
    pub checks_expiry: bool,
    /// How long before a token's expiry it begins to renew it, left as it comes.
    pub window: Duration,
    /// What takes the place of a fresh credential without a token.
    pub source: Source,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Floor,
    Ours,
    Peer,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Source {
    /// Asked by the caller who needs a token, or by a task that he wakes.
    InProcess,
    Http,
    /// Asked by the constructor, so that there is no cold caller.
    AtConstruction,
    HttpAtConstruction,
}

impl Source {
    pub fn at_construction(self) -> bool {
        matches!(self, Self::AtConstruction | Self::HttpAtConstruction)
    }

    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpAtConstruction)
    }
}

/// A [`Peer`] whose type is forgotten.
#[async_trait]
pub trait Contender: Send + Sync {
    /// So many calls on this thread; from when to when.
    fn batch(&self, runtime: &Handle, calls: u32) -> (Instant, Instant);

    async fn call(&self) -> Answer;
}

#[async_trait]
impl<P: Peer> Contender for P {
    fn batch(&self, runtime: &Handle, calls: u32) -> (Instant, Instant) {
        runtime.block_on(async {
            let mut own = self.own();
            let start = Instant::now();
            for _ in 0..calls {
                black_box(Peer::call(self, &mut own).await).expect("a valid token is held");
            }
            (start, Instant::now())
        })
    }

    async fn call(&self) -> Answer {
        let mut own = self.own();
        Peer::call(self, &mut own).await
    }
}

type Make = fn(Issuer) -> BoxFuture<'static, Result<Arc<dyn Contender>, String>>;

#[derive(Clone, Copy)]
pub struct Entry {
    pub facts: Facts,
    pub make: Make,
}

impl Entry {
    pub const fn of<P: Peer>() -> Self {
        Self { facts: P::FACTS, make: |issuer| Box::pin(async { Ok(Arc::new(P::new(issuer).await?) as _) }) }
    }
}

/// For a peer's errors, whatever they are.
pub fn words(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

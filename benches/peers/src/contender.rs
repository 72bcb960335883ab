//! The common interface of all measured libraries.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use crate::issuer::Issuer;

pub type Answer = Result<(), String>;

/// A credential of any library that gets its tokens from an [`Issuer`].
pub trait Peer: Sized + Send + Sync + 'static {
    const FACTS: Facts;
    /// The data that a thread keeps between calls, for instance a request to authorize.
    type Own: Send;

    fn new(issuer: Issuer) -> impl Future<Output = Result<Self, String>> + Send;

    fn own(&self) -> Self::Own;

    /// Gets a token by the public interface, reads it and drops it.
    fn call(&self, own: &mut Self::Own) -> impl Future<Output = Answer> + Send;
}

#[derive(Clone, Copy)]
pub struct Facts {
    pub name: &'static str,
    /// The package with its version in the lock file; `None` for a floor.
    pub package: Option<&'static str>,
    pub kind: Kind,
    pub returns: &'static str,
    pub checks_expiry: bool,
    /// How long before the expiry it renews a token by default.
    pub window: Duration,
    /// How it gets its first token.
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
    /// The caller that needs a token asks it, or a task that the caller wakes.
    InProcess,
    Http,
    /// The constructor asks it, so there is no request without a token.
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

/// A [`Peer`] without its type.
#[async_trait]
pub trait Contender: Send + Sync {
    /// Makes this number of calls on this thread. Returns the start and the end.
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

/// The text of an error of a peer.
pub fn words(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

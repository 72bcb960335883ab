//! Spans of `tracing`. A subscriber is foreign code: it never runs under the lock, and its panics do no harm.

use std::sync::Arc;

use acs_common::Trigger;
#[cfg(feature = "tracing")]
use {
    crate::panics::catch_panic,
    std::mem,
    tracing::{Span, field::Empty, span::EnteredSpan},
};

/// A span, or none.
#[derive(Debug, Default)]
pub(crate) struct GuardedSpan {
    #[cfg(feature = "tracing")]
    span: Option<Span>,
}

/// The thread is in the span until this is dropped.
#[derive(Default)]
pub(crate) struct Entered {
    #[cfg(feature = "tracing")]
    span: Option<EnteredSpan>,
}

/// The span of who asks for a token. Only an effect may drop it.
#[derive(Clone, Default)]
pub(crate) struct Asker {
    #[cfg(feature = "tracing")]
    span: Option<Arc<GuardedSpan>>,
}

/// The spans of a driver: of the program that spawned it, and of the refresh in flight.
#[derive(Default)]
pub(crate) struct DriverSpans {
    program: GuardedSpan,
    refresh: Option<GuardedSpan>,
}

impl DriverSpans {
    /// The driver runs in the span of the caller from now on.
    pub(crate) fn keep_current(&mut self) {
        self.program = GuardedSpan::current();
    }

    pub(crate) fn enter_program(&self) -> Entered {
        self.program.enter()
    }

    /// A refresh starts, or its check of the source, which has no trigger. It is a root: it may serve many callers, and ends
    /// after the call of the first one was cancelled.
    pub(crate) fn open(&mut self, credential: Option<&Arc<str>>, asker: &Asker, trigger: Option<Trigger>) {
        let refresh = self.refresh.get_or_insert_with(|| GuardedSpan::of_refresh(credential, asker));
        if let Some(trigger) = trigger {
            refresh.record("trigger", trigger.as_str());
        }
    }

    /// The refresh has ended.
    pub(crate) fn close(&mut self) {
        self.refresh = None;
    }

    pub(crate) fn enter_refresh(&self) -> Entered {
        self.refresh.as_ref().map(GuardedSpan::enter).unwrap_or_default()
    }
}

#[cfg(feature = "tracing")]
impl GuardedSpan {
    pub(crate) fn new(make: impl FnOnce() -> Span) -> Self {
        Self { span: catch_panic(make).filter(|span| !span.is_none()) }
    }

    fn current() -> Self {
        Self::new(Span::current)
    }

    fn of_refresh(credential: Option<&Arc<str>>, asker: &Asker) -> Self {
        let credential = credential.map(|name| &**name);
        Self::new(|| {
            let span = tracing::info_span!(
                target: "acs_common",
                parent: None,
                "acs.token.refresh",
                credential,
                trigger = Empty,
            );
            if let Some(asker) = asker.span.as_ref().and_then(|asker| asker.span.as_ref()) {
                span.follows_from(asker);
            }
            span
        })
    }

    pub(crate) fn record(&self, field: &str, value: impl tracing::Value) {
        if let Some(span) = &self.span {
            catch_panic(|| _ = span.record(field, value));
        }
    }

    pub(crate) fn enter(&self) -> Entered {
        Entered { span: self.span.as_ref().and_then(|span| catch_panic(|| span.clone().entered())) }
    }
}

#[cfg(feature = "tracing")]
impl Drop for GuardedSpan {
    fn drop(&mut self) {
        let span = mem::take(&mut self.span);
        catch_panic(|| drop(span));
    }
}

// Also without `tracing`, so that leaving early is not called useless.
impl Drop for Entered {
    fn drop(&mut self) {
        #[cfg(feature = "tracing")]
        {
            let span = mem::take(&mut self.span);
            catch_panic(|| drop(span));
        }
    }
}

#[cfg(feature = "tracing")]
impl Asker {
    /// The caller. Call it before the lock is held.
    pub(crate) fn current() -> Self {
        let current = GuardedSpan::current();
        Self { span: current.span.is_some().then(|| Arc::new(current)) }
    }
}

#[cfg(not(feature = "tracing"))]
impl GuardedSpan {
    fn current() -> Self {
        Self {}
    }

    fn of_refresh(_: Option<&Arc<str>>, _: &Asker) -> Self {
        Self {}
    }

    #[expect(clippy::unused_self, reason = "there are no spans")]
    fn record(&self, _: &str, _: &str) {}

    #[expect(clippy::unused_self, reason = "there are no spans")]
    fn enter(&self) -> Entered {
        Entered {}
    }
}

#[cfg(not(feature = "tracing"))]
impl Asker {
    pub(crate) fn current() -> Self {
        Self {}
    }
}

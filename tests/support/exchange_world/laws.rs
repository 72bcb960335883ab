//! The laws of what is held and of who waits; what is a secret is not shown.

use acs_common::{Error, FailureKind, Notice, Token};

use super::{Held, World};

impl World {
    pub(super) fn check_secrets(&mut self, shown: &str) {
        let leak = self.secret.clone().filter(|secret| shown.contains(secret.as_str()));
        self.check(leak.is_none(), || format!("{leak:?} is shown in {shown}"));
    }

    pub(super) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::TokenChanged { .. } => {
                let brought = self.brought.take();
                self.check(brought.is_some(), || "a token from nowhere".to_owned());
                self.failed = None;
                self.gone.extend(self.held.take().and_then(|held| held.token));
                self.held = brought;
            }
            Notice::RefreshFailed { cause, .. } if cause.kind() == FailureKind::Rejected => {
                self.failed = self.rejected;
            }
            Notice::RefreshFailed { cause, .. } => {
                self.failures += 1;
                // A failure of the source belongs to no Entra token.
                self.failed = self.in_hand.filter(|_| self.requests > 0 && !self.signed_out);
                let other_user = |held: &Held| self.in_hand.is_some_and(|entra| !entra.is_of_same_user(held.entra));
                if self.held.as_ref().is_some_and(other_user) {
                    self.gone.extend(self.held.take().and_then(|held| held.token));
                }
                let shown = format!("{cause} {cause:?}");
                self.check_secrets(&shown);
            }
            Notice::Disposed => {
                let disposed = self.disposed;
                self.check(disposed, || "disposed by nobody".to_owned());
            }
            _ => {}
        }
    }

    /// What the machine holds is what it should, no more and no less.
    pub(super) fn check_held(&mut self) {
        let has = self.credential.machine.token(self.now).cloned();
        if let Some(held) = self.held.as_mut().filter(|held| held.expiry.is_none()) {
            // Only the machine can tell how long it lives.
            match &has {
                Some(token) => held.text = token.secret().expose().to_owned(),
                None => self.held = None,
            }
        }
        let (wanted, got) =
            (self.held.as_ref().map(|held| held.text.clone()), has.as_ref().map(|it| it.secret().expose()));
        let (agree, said) = (wanted.as_deref() == got, format!("{wanted:?} is held, but the machine has {got:?}"));
        self.check(agree, || said);
        if let (Some(held), Some(token)) = (&mut self.held, has) {
            let expired = token.expires_on() <= self.now.unix && held.expiry.is_none();
            held.token = Some(token);
            self.check(!expired, || "it has expired".to_owned());
        }
    }

    pub(super) fn answered(&mut self, waiter: u32, result: Result<Token, Error>) {
        let waited = self.waiting.remove(&waiter);
        self.check(waited, || format!("{waiter} is answered, but does not wait"));
        match result {
            Ok(token) => {
                let held = self.held.as_ref().and_then(|held| held.token.as_ref()).is_some_and(|it| it.ptr_eq(&token));
                self.check(held, || format!("{waiter} gets a token that is not held: {token:?}"));
                self.told.push_back((waiter, Ok(())));
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                self.check_secrets(&shown);
                let disposed = self.disposed;
                let right = disposed == matches!(error, Error::Disposed) && (disposed || self.held.is_none());
                self.check(right, || format!("{waiter} is refused: {error}"));
                let retry_in = match error {
                    Error::RefreshFailed { retry_in, .. } => retry_in,
                    _ => None,
                };
                let millis = retry_in.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
                self.told.push_back((waiter, Err(millis)));
            }
        }
    }

    /// Every waiter waits for something.
    pub(super) fn check_waiting(&mut self) {
        let served = self.held.is_some() && !self.setup.each_request;
        let for_something = self.outstanding.is_some() || self.credential.deadline().is_some();
        let fine = self.waiting.is_empty() || for_something && !served && !self.disposed;
        let waiting = self.waiting.clone();
        self.check(fine, || format!("{waiting:?} wait for nothing"));
        // And whatever is waited for has an end.
        let endless =
            self.setup.has_timeout() && self.outstanding.is_some() && self.credential.machine.deadline().is_none();
        self.check(!endless, || "a call without an end".to_owned());
    }
}

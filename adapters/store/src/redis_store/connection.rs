//! The connection that all operations share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::scripts::Script;
use crate::error::{StoreError, StoreErrorKind};
use crate::runtime;

#[derive(Clone)]
pub(super) struct Connections(Arc<Source>);

enum Source {
    Client(Client, Mutex<Slot>),
    Given(Box<dyn Fn() -> Box<dyn ConnectionLike + Send> + Send + Sync>),
}

#[derive(Default)]
struct Slot {
    /// Counts the connections.
    number: u64,
    current: Option<Connecting>,
}

type Connecting = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

impl Connections {
    pub(super) fn of(client: Client) -> Self {
        Self(Arc::new(Source::Client(client, Mutex::default())))
    }

    pub(super) fn given(connection: impl Fn() -> Box<dyn ConnectionLike + Send> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Source::Given(Box::new(connection))))
    }

    /// For connections beside the shared one.
    pub(super) fn client(&self) -> Option<Client> {
        match &*self.0 {
            Source::Client(client, _) => Some(client.clone()),
            Source::Given(_) => None,
        }
    }

    /// Runs a script by its hash. If the server does not know it, then by its text.
    pub(super) async fn run(&self, by_hash: &Cmd, script: &Script) -> Result<Value, StoreError> {
        let (client, slot) = match &*self.0 {
            Source::Client(client, slot) => (client, slot),
            Source::Given(connection) => return run(&mut *connection(), by_hash, script).await.map_err(failed),
        };
        loop {
            let (number, connecting, is_new) = current(client, slot)?;
            let connected = connecting.await.inspect_err(|_| forget(slot, number));
            let mut connection = connected.map_err(failed)?;
            // An answer that does not come may be one that never comes: the other end may be gone without a word.
            let mut unanswered = ForgetOnDrop { slot, number, is_useless: true };
            let result = run(&mut connection, by_hash, script).await;
            unanswered.is_useless = result.as_ref().is_err_and(is_useless_after);
            drop(unanswered);
            match result {
                // It broke while nobody used it. Doing the operation twice is as good as once.
                Err(error) if error.is_unrecoverable_error() && !is_new => {}
                result => return result.map_err(failed),
            }
        }
    }
}

/// The number of the current connection, that connection, and whether it has just been started.
fn current(client: &Client, slot: &Mutex<Slot>) -> Result<(u64, Connecting, bool), StoreError> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(connecting) = &slot.current {
        return Ok((slot.number, connecting.clone(), false));
    }
    let client = client.clone();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        // A caller that does not wait any longer drops the operation.
        .set_response_timeout(None);
    let connecting = async move { client.get_multiplexed_async_connection_with_config(&config).await }.boxed().shared();
    // It goes on if the one who waits for it gives up, so that the next one has it.
    runtime::spawn(connecting.clone().map(drop))?;
    slot.number += 1;
    slot.current = Some(connecting.clone());
    Ok((slot.number, connecting, true))
}

fn forget(slot: &Mutex<Slot>, number: u64) {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.number == number {
        slot.current = None;
    }
}

struct ForgetOnDrop<'a> {
    slot: &'a Mutex<Slot>,
    number: u64,
    is_useless: bool,
}

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        if self.is_useless {
            forget(self.slot, self.number);
        }
    }
}

async fn run(connection: &mut (dyn ConnectionLike + Send), by_hash: &Cmd, script: &Script) -> RedisResult<Value> {
    let answer = connection.req_packed_command(by_hash).await.and_then(Value::extract_error);
    match answer {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            let mut by_text = redis::cmd("EVAL");
            by_text.arg(script.text());
            // Without the name of the command and the hash.
            for argument in by_hash.args_iter().skip(2) {
                if let redis::Arg::Simple(argument) = argument {
                    by_text.arg(argument);
                }
            }
            connection.req_packed_command(&by_text).await.and_then(Value::extract_error)
        }
        answer => answer,
    }
}

/// A server that has become a replica stays one: the name may lead to the primary by now.
fn is_useless_after(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

fn failed(error: RedisError) -> StoreError {
    let kind = match (error.kind(), error.code()) {
        (_, Some("OOM")) => StoreErrorKind::Full,
        (
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::NoPerm) | ErrorKind::AuthenticationFailed,
            _,
        ) => StoreErrorKind::Refused,
        (ErrorKind::InvalidClientConfig, _) => StoreErrorKind::Misused,
        _ if error.is_io_error() || error.is_unrecoverable_error() => StoreErrorKind::Unavailable,
        (ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown), _) => {
            StoreErrorKind::Unavailable
        }
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, format!("the Redis server does not serve: {error}")).with_source(error)
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

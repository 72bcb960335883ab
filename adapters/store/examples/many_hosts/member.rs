//! One of the processes: inside, a program with a credential; outside, a handle to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::pin::Pin;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use acs_common_store::{
    EntryName, Fence, FileStore, Found, Hints, NamingKey, NewRecord, Owner, RedisStore, SealingKeys, SharedStore,
    Store, StoreFuture, Taken,
};
use acs_common_tokio::store::SharingOptions;
use acs_common_tokio::{CommunicationTokenCredential, NewToken, Policy, Token};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const STORE_TIMEOUT: Duration = Duration::from_millis(250);
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// A wait that is shorter is not worth a line.
pub(crate) const SHORT: Duration = Duration::from_millis(100);
/// The number of the token that the service refuses. (A real service would say so with status 401.)
static REVOKED: AtomicU64 = AtomicU64::new(0);

fn naming() -> NamingKey {
    NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=").expect("it is a key")
}

fn sealing() -> SealingKeys {
    SealingKeys::from_base64(1, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=").expect("it is a key")
}

/// Whether the entry of all is half-written.
pub(crate) async fn is_torn(store: &FileStore) -> bool {
    let name = naming().name("many hosts");
    match store.read(&name).await {
        Ok(Found { record: Some(record), .. }) => sealing().open(&name, record.fence, &record.sealed).is_err(),
        Ok(_) | Err(_) => true,
    }
}

/// The program of such a process. It runs until its standard input ends.
pub(crate) fn run(store: &str, issuer: &str) -> ExitCode {
    thread::spawn(|| {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("revoked ").and_then(|number| number.parse().ok()) {
                REVOKED.store(number, Ordering::Relaxed);
            }
        }
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(work(store, issuer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn work(store: &str, issuer: &str) -> Result<(), Box<dyn std::error::Error>> {
    let lost = Arc::new(AtomicU64::new(0));
    let counted = |store| Counted { store, lost: Arc::clone(&lost) };
    let store: Counted = match store.strip_prefix("files:") {
        Some(folder) => counted(Box::new(FileStore::new(folder)?)),
        None => counted(Box::new(RedisStore::open(store)?)),
    };
    let issuer = issuer.to_owned();
    let refresher = move || {
        let issuer = issuer.clone();
        async move { ask(&issuer).await }
    };
    let credential = CommunicationTokenCredential::with_refresher(refresher)
        .policy(Policy::builder().min_refresh_interval(Duration::ZERO).build()?)
        .shared_through(SharedStore::new(store, naming(), sealing()), "many hosts")
        .sharing_options(SharingOptions::builder().lease(LEASE).store_timeout(STORE_TIMEOUT).build()?)
        .spawn()?;
    let (mut served, mut failed, mut told, mut last) = (0_u64, 0_u64, Instant::now(), String::new());
    loop {
        let asked = Instant::now();
        let refused = format!("token-{}", REVOKED.load(Ordering::Relaxed));
        let is_refused = |token: &Token| token.secret().expose() == refused;
        let mut answer = credential.get_token().await;
        if let Ok(token) = &answer
            && is_refused(token)
        {
            answer = credential.replace(token).await;
        }
        match answer {
            Ok(token) if is_refused(&token) => {
                failed += 1;
                eprintln!("the refused token again");
            }
            Ok(_) => served += 1,
            Err(error) => {
                failed += 1;
                let error = error.to_string();
                if error != last {
                    eprintln!("no token: {error}");
                    last = error;
                }
            }
        }
        let waited = asked.elapsed();
        if waited > SHORT {
            println!("waited {}", waited.as_millis());
        }
        if told.elapsed() > Duration::from_millis(100) {
            told = Instant::now();
            println!("sum {served} {failed} {}", lost.load(Ordering::Relaxed));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ask(issuer: &str) -> Result<NewToken, std::io::Error> {
    let mut connection = TcpStream::connect(issuer).await?;
    connection.write_all(format!("token {}\n", std::process::id()).as_bytes()).await?;
    let mut answer = String::new();
    tokio::io::BufReader::new(connection).read_line(&mut answer).await?;
    let (token, life) = answer.trim_end().split_once(' ').ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let life = life.parse().map_err(|_| std::io::ErrorKind::InvalidData)?;
    Ok(NewToken::new(token).with_expires_in(Duration::from_millis(life)))
}

/// Counts the operations that fail or are not answered in time: each may cost a token.
struct Counted {
    store: Box<dyn Store>,
    lost: Arc<AtomicU64>,
}

struct Operation<T> {
    future: StoreFuture<T>,
    began: Instant,
    is_answered: bool,
    lost: Arc<AtomicU64>,
}

impl<T> Future for Operation<T> {
    type Output = Result<T, acs_common_store::StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.future.as_mut().poll(context);
        self.is_answered = matches!(answer, Poll::Ready(Ok(_)));
        answer
    }
}

impl<T> Drop for Operation<T> {
    fn drop(&mut self) {
        // An answer that takes up the whole time, and an operation that is dropped because others have taken up its time.
        if !self.is_answered || self.began.elapsed() > STORE_TIMEOUT {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Counted {
    fn count<T: Send + 'static>(&self, future: StoreFuture<T>) -> StoreFuture<T> {
        let lost = Arc::clone(&self.lost);
        Box::pin(Operation { future, began: Instant::now(), is_answered: false, lost })
    }
}

impl Store for Counted {
    fn read(&self, name: &EntryName) -> StoreFuture<Found> {
        self.count(self.store.read(name))
    }

    fn take(&self, name: &EntryName, owner: Owner, lease: Duration) -> StoreFuture<Taken> {
        self.count(self.store.take(name, owner, lease))
    }

    fn finish(&self, name: &EntryName, owner: Owner, fence: Fence, record: Option<NewRecord>) -> StoreFuture<()> {
        self.count(self.store.finish(name, owner, fence, record))
    }

    fn mark(&self, name: &EntryName, fence: Fence) -> StoreFuture<()> {
        self.count(self.store.mark(name, fence))
    }

    fn watch(&self, name: &EntryName) -> Option<Hints> {
        self.store.watch(name)
    }
}

/// What a process said of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) served: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    /// When each long wait ended, and how long it was.
    pub(crate) waits: Vec<(Instant, Duration)>,
}

pub(crate) struct Member {
    process: Child,
    said: Arc<Mutex<Said>>,
    input: Option<ChildStdin>,
    stopped_until: Option<Instant>,
    /// When it was stopped last, and when it was harmed.
    pub(crate) stops: Vec<(Instant, Instant)>,
    pub(crate) killed: Option<Instant>,
}

impl Member {
    pub(crate) fn start(store: &str, issuer: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--host", store, issuer])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let said = Arc::<Mutex<Said>>::default();
        let input = process.stdin.take();
        let (lines, heard) = (BufReader::new(process.stdout.take().expect("it is piped")), Arc::clone(&said));
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                hear(&line, &mut heard.lock().expect("nothing panics under this lock"));
            }
        });
        Self { process, said, input, stopped_until: None, stops: Vec::new(), killed: None }
    }

    /// Stops it as a debugger does, or a host without a core to spare.
    pub(crate) fn stop_for(&mut self, duration: Duration) -> bool {
        let is_stopped = self.stopped_until.is_none() && self.signal("-STOP");
        if is_stopped {
            let now = Instant::now();
            self.stopped_until = Some(now + duration);
            self.stops.push((now, now + duration));
        }
        is_stopped
    }

    /// Lets it go on, if it is time.
    pub(crate) fn go_on(&mut self) {
        if self.stopped_until.take_if(|until| Instant::now() >= *until).is_some() {
            self.signal("-CONT");
        }
    }

    /// Tells it that the service refuses this token.
    pub(crate) fn refuse(&mut self, number: usize) {
        if let Some(input) = &mut self.input {
            // If it has ended, its end is reported elsewhere.
            let _ = writeln!(input, "revoked {number}");
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn kill(&mut self) {
        self.killed = Some(Instant::now());
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }

    pub(crate) fn end(&mut self) {
        if self.stopped_until.take().is_some() {
            self.signal("-CONT");
        }
        drop(self.input.take());
        self.process.wait().expect("it ends");
    }

    pub(crate) fn said(&self) -> Said {
        self.said.lock().expect("nothing panics under this lock").clone()
    }

    fn signal(&self, signal: &str) -> bool {
        let id = self.process.id().to_string();
        Command::new("kill").args([signal, &id]).status().is_ok_and(|status| status.success())
    }
}

fn hear(line: &str, said: &mut Said) {
    let words: Vec<&str> = line.split(' ').collect();
    let numbers: Vec<u64> = words[1..].iter().filter_map(|word| word.parse().ok()).collect();
    match (words[0], &numbers[..]) {
        ("waited", [millis]) => said.waits.push((Instant::now(), Duration::from_millis(*millis))),
        ("sum", [served, failed, lost]) => (said.served, said.failed, said.lost) = (*served, *failed, *lost),
        _ => {}
    }
}

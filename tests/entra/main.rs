//! The exchange of Entra tokens, table by table.

mod options;
mod responses;

use acs_common::entra::{CallId, EntraAction, EntraEvent, EntraMachine, EntraOptions, HttpRequest, HttpResponse};
use acs_common::{Error, Monotonic, Now, Policy, Token, UnixTime};

const START: i64 = 1_700_000_000_000;
const ENTRA: &str = "the-entra-token";

fn at(millis: u64) -> Now {
    Now::new(Monotonic::from_millis(millis), UnixTime::from_millis(START + millis as i64))
}

/// A credential that has been asked for a token at the very start, and has its Entra token.
struct Stage {
    machine: EntraMachine<u32>,
}

/// What a response leads to.
#[derive(Debug)]
enum Came {
    Token(Token),
    Error(Error),
    /// Another try, after so many milliseconds.
    Again(u64),
    /// The source is asked for a fresh token.
    Asked,
}

impl Stage {
    fn new(options: EntraOptions, policy: Policy) -> (Self, CallId, HttpRequest) {
        let mut stage = Self { machine: EntraMachine::new(options.with_prewarm(false), policy, at(0)) };
        stage.machine.handle(EntraEvent::TokenRequested { waiter: 1 }, at(0));
        let call = stage.acquire();
        let (call, request) = stage.give(call);
        (stage, call, request)
    }

    fn acquire(&mut self) -> CallId {
        loop {
            match self.machine.poll_action().expect("the source is asked") {
                EntraAction::AcquireEntraToken { call, .. } => return call,
                _ => continue,
            }
        }
    }

    fn give(&mut self, call: CallId) -> (CallId, HttpRequest) {
        self.machine.handle(EntraEvent::EntraTokenReceived { call, token: ENTRA.into() }, at(0));
        self.sent(0).expect("a request is sent")
    }

    fn sent(&mut self, millis: u64) -> Option<(CallId, HttpRequest)> {
        self.machine.handle(EntraEvent::TimeAdvanced, at(millis));
        loop {
            if let EntraAction::SendRequest { call, request } = self.machine.poll_action()? {
                return Some((call, request));
            }
        }
    }

    fn respond(&mut self, call: CallId, response: HttpResponse) -> Came {
        self.machine.handle(EntraEvent::ResponseReceived { call, response }, at(0));
        let mut came = None;
        while let Some(action) = self.machine.poll_action() {
            match action {
                EntraAction::ReturnToken { result: Ok(token), .. } => came = Some(Came::Token(token)),
                EntraAction::ReturnToken { result: Err(error), .. } => came = Some(Came::Error(error)),
                EntraAction::AcquireEntraToken { fresh, .. } => {
                    assert!(fresh);
                    came = Some(Came::Asked);
                }
                EntraAction::SendRequest { .. } => came = Some(Came::Again(0)),
                EntraAction::ScheduleTimer { at: Some(at) } if came.is_none() => {
                    came = Some(Came::Again(at.as_millis()));
                }
                _ => {}
            }
        }
        came.expect("something comes of it")
    }
}

fn options() -> EntraOptions {
    EntraOptions::new("https://contoso.communication.azure.com").unwrap()
}

/// What becomes of the first response.
fn respond(response: HttpResponse) -> Came {
    let policy = Policy::builder().exchange_jitter(0.0).build().unwrap();
    let (mut stage, call, _) = Stage::new(options(), policy);
    stage.respond(call, response)
}

/// Bites when the path loses its colon, `Accept` is left out, or a request id is drawn for each try.
#[test]
fn the_request_is_the_references_and_keeps_its_id_from_try_to_try() {
    let teams = ["https://auth.msft.communication.azure.us/TeamsExtension.ManageCalls"];
    let families = [
        (options(), "/access/entra/:exchangeAccessToken?api-version=2025-03-02-preview"),
        (options().with_scopes(teams).unwrap(), "/access/teamsExtension/:exchangeAccessToken?api-version=2025-06-30"),
    ];
    for (options, path) in families {
        let (mut stage, call, request) = Stage::new(options, Policy::default());
        assert_eq!((request.method(), request.body(), request.attempt()), ("POST", "{}", 1));
        assert_eq!(request.url(), format!("https://contoso.communication.azure.com{path}"));
        let id = request.request_id().to_owned();
        let headers: Vec<_> = request.expose_headers().collect();
        let expected = [
            ("Authorization", "Bearer the-entra-token"),
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("x-ms-client-request-id", &id),
        ];
        assert_eq!(headers, expected);
        let parts: Vec<_> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");

        let Came::Again(pause) = stage.respond(call, HttpResponse::new(503)) else { panic!() };
        let (call, again) = stage.sent(pause).expect("it is tried again");
        assert_eq!((again.request_id(), again.attempt()), (id.as_str(), 2));
        drop(stage.respond(call, HttpResponse::new(403)));
        stage.machine.handle(EntraEvent::TryNow, at(10_000));
        let source = stage.acquire();
        assert_ne!(stage.give(source).1.request_id(), id, "another refresh, another id");
    }
}

/// Bites when `shorten` takes more than the fraction, or `repeat` jitters what the service asked for.
#[test]
fn a_pause_without_a_hint_is_cut_by_half_at_most_and_one_with_a_hint_is_not() {
    let mut pauses = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let policy = Policy::builder().seed(seed).build().unwrap();
        let (mut stage, call, _) = Stage::new(options(), policy.clone());
        let Came::Again(pause) = stage.respond(call, HttpResponse::new(503)) else { panic!() };
        assert!((400..=800).contains(&pause), "{pause}");
        pauses.insert(pause);
        let (mut stage, call, _) = Stage::new(options(), policy);
        let hinted = HttpResponse::new(503).with_header("Retry-After", "7");
        assert!(matches!(stage.respond(call, hinted), Came::Again(7_000)));
    }
    assert!(pauses.len() > 50, "{pauses:?}");
}

/// Bites when `digits` takes a sign or a fraction, or `http_date` loses a form.
#[test]
fn hints_are_read_in_every_form_there_is_and_in_no_other() {
    // START is Tue, 14 Nov 2023 22:13:20 GMT.
    for (name, value, pause) in [
        ("Retry-After", "0", 0),
        ("retry-after", " 7 ", 7_000),
        ("Retry-After", "Tue, 14 Nov 2023 22:13:27 GMT", 7_000),
        ("Retry-After", "Tuesday, 14-Nov-23 22:13:27 GMT", 7_000),
        ("Retry-After", "Tue Nov 14 22:13:27 2023", 7_000),
        ("Retry-After", "Tue, 14 Nov 2023 22:13:19 GMT", 0),
        ("retry-after-ms", "30", 30),
        ("X-MS-Retry-After-Ms", "31", 31),
        ("Retry-After", "-1", 800),
        ("Retry-After", "1.5", 800),
        ("Retry-After", "", 800),
        ("Retry-After", "soon", 800),
        ("Retry-After", "2023-11-14T22:13:27Z", 800),
        ("retry-after-ms", "1.5", 800),
    ] {
        let came = respond(HttpResponse::new(429).with_header(name, value));
        assert!(matches!(came, Came::Again(got) if got == pause), "{name}: {value}: {came:?}");
    }
    for endless in ["61", "99999999999999999999999"] {
        let came = respond(HttpResponse::new(429).with_header("Retry-After", endless));
        assert!(matches!(came, Came::Error(_)), "{endless}: {came:?}");
    }
}

/// Bites when a recorded case of the reference's tests, or one of its defects, loses its life among the scenarios.
#[test]
fn every_case_of_the_references_tests_and_every_defect_of_its_has_its_life() {
    let mut lives = String::new();
    for file in std::fs::read_dir("tests/scenarios/own").unwrap() {
        lives += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    for (case, life) in [
        ("JS 1, .NET 19: exchanged once, ahead of time", "pre-warmed, exchanged once, reused"),
        (
            "JS 2, .NET 21 and 27: the same Entra token",
            "the same Entra token is not exchanged again while the access token is valid",
        ),
        (
            "JS 3, .NET 22: another Entra token",
            "another Entra token of the same user is exchanged when a refresh is due",
        ),
        ("JS 4, row 80, B7: an expired access token", "an expired access token is no token"),
        ("JS 5: 503 with Retry-After: 0", "503 with Retry-After: 0 is tried again at once"),
        ("JS 7, row 85, B7: an empty token", "a blank Entra token is a failure of the source"),
        ("JS 9, .NET 24: four 503s", "four 503 in a row end the refresh"),
        ("JS 10, row 91: 401", "401: the same token again is permanent"),
        ("JS 11, .NET 17, row 71: no scopes", "no scopes: refused at construction"),
        ("JS 12, row 72: unknown and mixed scopes", "mixed scopes: refused at construction"),
        ("row 76, B7: a pre-warming that fails", "a pre-warming that fails is a notice"),
        ("row 77: asked at each request", "each request: the source is asked first, the held token is the answer"),
        ("row 81, B7: expiresOn unparseable", "200 with an expiry that cannot be read is a bad response"),
        (
            "row 82, B7: the exchange fails, the token is valid",
            "an exchange that fails costs no valid token of the same user",
        ),
        ("row 83: the source fails, the token is valid", "a source that fails costs no valid token"),
        (".NET 23, row 84, B10: a bad 200 is not cached", "200 with no accessToken is a bad response"),
        ("row 86: an opaque access token without expiry", "200 with an opaque token without expiry is a bad response"),
        ("row 88: plain http", "plain http: refused at construction"),
        ("row 89: 200 only", "201 is permanent"),
        ("row 90, B7: 429 without a hint", "429 is tried again"),
        ("row 94: renewed ahead of time", "proactive: renewed ahead of time, by the timer"),
        ("row 95: a caller's abort", "a cancelled leader does not take the exchange with him"),
    ] {
        assert!(lives.contains(life), "{case}: {life}");
    }
}

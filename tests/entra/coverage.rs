//! Where each case of the reference's and its sisters' own tests is tried, and each of their defects missed.

use std::collections::BTreeSet;

/// A life in `tests/scenarios/own/entra*.json`, or a test of this program.
#[derive(Clone, Copy)]
enum By {
    Life(&'static str),
    Test(&'static str),
}
use By::{Life, Test};

/// Case or defect; what tries it.
const TABLE: &[(&str, &[By])] = &[
    (
        "JS: happy path, scopes as given, a live signal",
        &[
            Life("clients: one exchange, and its token"),
            Life("Teams: one exchange, and its token"),
            Test("scopes_of_one_family_are_taken_and_asked_for_as_they_were_given"),
            Test("the_request_is_what_the_service_was_seen_to_take"),
        ],
    ),
    (
        "JS: second call, same Entra token",
        &[
            Life("clients: the same Entra token is not exchanged twice"),
            Life("Teams: the same Entra token is not exchanged twice"),
        ],
    ),
    (
        "JS: Entra token changed",
        &[
            Life("clients: another Entra token is exchanged at once"),
            Life("Teams: another Entra token is exchanged at once"),
        ],
    ),
    (
        "JS: expired access token handed out",
        &[
            Life("clients: an expired access token is an error, and the next call exchanges again"),
            Life("an expired access token is no token"),
            Test("an_access_token_that_has_expired_on_arrival_is_not_taken"),
        ],
    ),
    (
        "JS: 503 with Retry-After: 0",
        &[Life("clients: 503 with Retry-After: 0, then 200"), Life("Teams: 503 with Retry-After: 0, then 200")],
    ),
    ("JS: no scopes given", &[Life("no scopes given: the default ones")]),
    (
        "JS: aborted before, an empty token; an abort rejects all",
        &[
            Life("clients: who cancels gets nothing, and costs nobody anything"),
            Life("each request: who asks and cancels leaves the check to the others"),
            Life("a blank Entra token is a failure of the source"),
        ],
    ),
    (
        "JS: four 503",
        &[
            Life("clients: four 503 in a row are an error after three retries, and the next call tries again"),
            Life("four 503 in a row end the refresh"),
        ],
    ),
    (
        "JS: 401",
        &[
            Life("clients: 401 is an error after one request, if the source has no other token"),
            Life("401: the same token again is permanent"),
        ],
    ),
    (
        "JS: empty or unknown scopes, found out late",
        &[
            Life("clients: no scopes at all: refused at construction"),
            Life("Teams: an unknown scope: refused at construction"),
            Test("scopes_of_no_family_or_of_two_are_refused_by_name"),
        ],
    ),
    (".NET 16: no endpoint", &[Test("an_endpoint_that_is_none_is_refused_with_what_is_wrong")]),
    (
        ".NET 17, 18: scopes",
        &[Life("mixed scopes: refused at construction"), Life("no scopes given: the default ones")],
    ),
    (
        ".NET 19: the constructor fetches",
        &[Life("pre-warmed, exchanged once, reused"), Life("without pre-warming nothing happens until somebody asks")],
    ),
    (".NET 20: path by scope, the government's cloud too", &[Test("the_request_is_what_the_service_was_seen_to_take")]),
    (
        ".NET 21: several calls, one exchange",
        &[Life("clients: five calls, one exchange"), Life("pre-warmed, exchanged once, reused")],
    ),
    (".NET 22: token changes", &[Life("another Entra token of the same user is exchanged when a refresh is due")]),
    (
        ".NET 23: 400, and 200 without a token",
        &[
            Life("400 with the service's own error code is permanent"),
            Life("200 with no accessToken is a bad response, not tried again within the refresh"),
            Test("a_body_without_a_token_in_its_place_is_unusable"),
        ],
    ),
    (".NET 24, Java 18: constant 500", &[Life("constant 500: four requests to pre-warm, four more for who asks")]),
    (
        ".NET 25: the caller's list of scopes changes",
        &[Test("options_keep_what_they_were_given_whatever_becomes_of_it")],
    ),
    (
        ".NET 26: goes to the network",
        &[
            Life("a rejected access token is exchanged again with the same Entra token"),
            Life("the same Entra token is not exchanged again while the access token is valid"),
            Life("clients: an unreadable expiry is that of an opaque token"),
        ],
    ),
    (".NET 27: does not", &[Life("each request: the source is asked first, the held token is the answer")]),
    ("Java 19: unreadable body", &[Test("nothing_of_an_unusable_answer_is_kept")]),
    (
        "row 73, 74: the .us cloud, upper case",
        &[Test("scopes_of_one_family_are_taken_and_asked_for_as_they_were_given")],
    ),
    (
        "row 76: a pre-warming that fails",
        &[
            Life("a pre-warming that fails is a notice, and the next request is told until the rest is over"),
            Life("clients: a failed pre-warming is forgotten by the next call"),
        ],
    ),
    (
        "row 77: the source at each request",
        &[
            Life("each request: one check at a time, shared"),
            Life("the reference's way: no floor, no rest, asked at each request"),
        ],
    ),
    (
        "row 78: when it exchanges again",
        &[Life("the same Entra token is not exchanged again while the access token is valid")],
    ),
    (
        "row 79: renewal before death",
        &[Life("proactive: while the Entra token stays the same it is asked at half-lives, and nothing is exchanged")],
    ),
    (
        "row 81: an unreadable expiry never ends",
        &[
            Test("an_expiry_that_cannot_be_read_is_that_of_an_opaque_token"),
            Life("200 with an expiry that cannot be read has the life of an opaque token"),
        ],
    ),
    (
        "row 82, 83: a valid token withheld",
        &[
            Life("an exchange that fails costs no valid token of the same user"),
            Life("a source that fails costs no valid token"),
            Life("each request: a source that fails while a token is held serves it"),
        ],
    ),
    ("row 84: a bad answer that poisons", &[Life("clients: an unreadable expiry is that of an opaque token")]),
    (
        "row 85: an empty token",
        &[Life("a blank Entra token is a failure of the source"), Life("nobody signed in from the start")],
    ),
    ("row 86: opaque access tokens", &[Life("an opaque access token lives by its expiresOn")]),
    ("row 87: a slash at the endpoint's end", &[Test("an_endpoint_is_taken_as_it_is_but_for_slashes_at_its_end")]),
    ("row 88: plain http", &[Life("plain http: refused at construction")]),
    (
        "row 89: other statuses than 200",
        &[
            Life("201 is transient, and not tried again in the refresh"),
            Life("204 is transient, and not tried again in the refresh"),
            Test("only_what_may_pass_is_tried_again_and_only_the_service_itself_refuses_for_good"),
        ],
    ),
    (
        "row 90: what is retried, and when",
        &[
            Life("429 is tried again"),
            Life("502 is tried again"),
            Test("pauses_without_a_hint_double_and_are_cut_by_jitter_within_bounds"),
            Test("a_hint_is_a_number_or_a_date_and_nothing_else"),
        ],
    ),
    ("row 91: 401", &[Life("401: the source is asked for a fresh token, and another one is worth a try")]),
    ("row 92: a retry asks nobody anew", &[Test("every_try_of_a_refresh_has_its_id_and_the_next_refresh_another")]),
    ("row 93: a thread blocked", &[Life("dispose in an exchange answers at once")]),
    ("row 94: renewal ahead of time", &[Life("proactive: renewed ahead of time, by the timer")]),
    (
        "row 95: an abort during an exchange",
        &[
            Life("a cancelled leader does not take the exchange with him"),
            Life("all who waited are cancelled, and the exchange goes on"),
        ],
    ),
    (
        "B10: a deadlock, spinning, a close not enforced",
        &[Life("dispose in a pause"), Life("dispose while the source is asked"), Test("every_life_obeys_the_laws")],
    ),
];

/// Fails when a life or a test is renamed or lost, and when a row has none.
#[test]
fn every_case_and_defect_of_the_others_is_tried_here() {
    let lives: BTreeSet<String> = [
        include_str!("../scenarios/own/entra.json"),
        include_str!("../scenarios/own/entra_exchange.json"),
        include_str!("../scenarios/own/entra_reference.json"),
        include_str!("../scenarios/own/entra_passing_statuses.json"),
        include_str!("../scenarios/own/entra_retry_after.json"),
        include_str!("../scenarios/own/entra_users.json"),
    ]
    .into_iter()
    .flat_map(|file| serde_json::from_str::<Vec<serde_json::Value>>(file).unwrap())
    .map(|life| life["name"].as_str().unwrap().to_owned())
    .collect();
    let tests = [
        include_str!("options.rs"),
        include_str!("wire.rs"),
        include_str!("answers.rs"),
        include_str!("errors.rs"),
        include_str!("hints.rs"),
        include_str!("laws.rs"),
    ];
    for (case, by) in TABLE {
        assert!(!by.is_empty(), "{case}");
        for by in *by {
            match by {
                Life(name) => assert!(lives.contains(*name), "{case}: no life is called {name:?}"),
                Test(name) => {
                    let head = format!("#[test]\nfn {name}()");
                    assert!(tests.iter().any(|file| file.contains(&head)), "{case}: no test is called {name}");
                }
            }
        }
    }
}

//! Compares timelines as the README of the scenario files says: each caller's stream and the refresher's stream
//! separately, times within 2 ms plus 1 ms for each earlier refresh.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The differences as text, the earliest first. Empty if the timelines agree.
pub fn differences(expected: &[Value], actual: &[Value]) -> Vec<String> {
    // Timelines recorded without notices say nothing about them.
    let notices = expected.iter().any(|event| event["event"] == "notice");
    let calls: Vec<u64> = expected.iter().filter(|event| event["event"] == "refresher_called").map(at).collect();
    let (expected, actual) = (streams(expected, notices), streams(actual, notices));
    let none = Vec::new();
    let mut found = Vec::new();
    for name in expected.keys().chain(actual.keys().filter(|name| !expected.contains_key(*name))) {
        let (expected, actual) = (expected.get(name).unwrap_or(&none), actual.get(name).unwrap_or(&none));
        for index in 0..expected.len().max(actual.len()) {
            let (wanted, got) = (expected.get(index), actual.get(index));
            let agree = match (wanted, got) {
                (Some(wanted), Some(got)) => {
                    let earlier = calls.iter().filter(|call| **call < at(wanted)).count() as u64;
                    content(wanted) == content(got) && at(wanted).abs_diff(at(got)) <= 2 + earlier
                }
                _ => false,
            };
            if !agree {
                let show = |event: Option<&&Value>| event.map_or("nothing".to_owned(), |event| event.to_string());
                let when = [wanted, got].into_iter().flatten().map(|event| at(event)).min().unwrap_or_default();
                let text = format!("{name}, event {}: expected {}, got {}", index + 1, show(wanted), show(got));
                found.push((when, text));
                // The later events of this stream are only shifted: they are not further differences.
                break;
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, text)| text).collect()
}

fn streams(timeline: &[Value], notices: bool) -> BTreeMap<String, Vec<&Value>> {
    let mut streams = BTreeMap::<String, Vec<&Value>>::new();
    for event in timeline.iter().filter(|event| notices || event["event"] != "notice") {
        let name = match event["id"].as_str() {
            Some(id) => format!("caller {id:?}"),
            None if event["event"] == "notice" => "notices".to_owned(),
            None if event["event"] == "source_called" => "source".to_owned(),
            None if event["event"] == "exchange_requested" => "exchange".to_owned(),
            None => "refresher".to_owned(),
        };
        streams.entry(name).or_default().push(event);
    }
    streams
}

fn at(event: &Value) -> u64 {
    event["at"].as_u64().unwrap_or_default()
}

fn content(event: &Value) -> Option<Map<String, Value>> {
    let mut fields = event.as_object()?.clone();
    fields.remove("at");
    Some(fields)
}

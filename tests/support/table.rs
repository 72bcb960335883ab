//! Reads the tables of the machines that live for one request or one refresh: `src/call/transitions.md` and
//! `src/sharing/transitions.md`.

/// One row for one event. A row of the document with several events becomes several rows.
pub struct Row<'a> {
    pub state: &'a str,
    pub event: &'a str,
    pub conditions: Vec<&'a str>,
    pub next: &'a str,
    pub actions: Vec<&'a str>,
    pub text: &'a str,
}

pub fn rows(document: &'static str) -> Vec<Row<'static>> {
    let mut lines = document.lines().filter(|line| line.starts_with('|'));
    assert_eq!(lines.next(), Some("| state | event | if | next state | actions |"));
    assert_eq!(lines.next(), Some("|---|---|---|---|---|"));
    lines
        .flat_map(|text| {
            let cells: Vec<_> = text.trim_matches('|').split('|').map(str::trim).collect();
            let [state, events, conditions, next, actions] = cells[..] else { panic!("five cells, not: {text}") };
            let list = |cell: &'static str| cell.split(", ").filter(|part| !part.is_empty()).collect::<Vec<_>>();
            events.split(", ").map(move |event| Row {
                state,
                event: event.trim_matches('`'),
                conditions: list(conditions),
                next,
                actions: list(actions),
                text,
            })
        })
        .collect()
}

//! Reads the table in `src/transitions.md`.

/// One row for one event. A row of the document with several events becomes several rows.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) state: String,
    pub(crate) event: String,
    pub(crate) conditions: Vec<String>,
    pub(crate) next: String,
    pub(crate) actions: Vec<String>,
    /// The row's text in the document.
    pub(crate) text: String,
}

impl Row {
    /// The first cells of a row that is not in the document.
    pub(crate) fn of(state: &str, event: &str, conditions: &[&str]) -> Self {
        Self {
            state: state.to_owned(),
            event: event.to_owned(),
            conditions: conditions.iter().map(|&condition| condition.to_owned()).collect(),
            next: String::new(),
            actions: Vec::new(),
            text: String::new(),
        }
    }

    pub(crate) fn says(&self, condition: &str) -> bool {
        self.conditions.iter().any(|other| other == condition)
    }

    pub(crate) fn lease(&self) -> (&str, &str) {
        (half(&self.state, 0), half(&self.next, 0))
    }

    pub(crate) fn attempt(&self) -> (&str, &str) {
        (half(&self.state, 1), half(&self.next, 1))
    }
}

/// The lease (0) or the attempt (1) of a state, or the whole state if it has no parts.
fn half(state: &str, part: usize) -> &str {
    state.split(", ").nth(part).unwrap_or(state)
}

/// The heading of the second table: a credential with a source.
const WITH_A_SOURCE: &str = "## With a source";

pub(crate) fn read(document: &str) -> Vec<Row> {
    table(document.split(WITH_A_SOURCE).next().expect("there is a first part"))
}

pub(crate) fn read_with_a_source(document: &str) -> Vec<Row> {
    table(document.split(WITH_A_SOURCE).nth(1).expect("there is a second part"))
}

fn table(document: &str) -> Vec<Row> {
    let mut lines = document.lines().filter(|line| line.starts_with('|'));
    assert_eq!(lines.next(), Some("| state | event | if | next state | actions |"), "the table's head");
    assert_eq!(lines.next(), Some("|---|---|---|---|---|"));
    lines.flat_map(rows).collect()
}

fn rows(line: &str) -> Vec<Row> {
    let inner = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')).expect("a row ends with a bar");
    let cells: Vec<_> = inner.split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect();
    let [state, events, conditions, next, actions] = &cells[..] else { panic!("five cells, not: {line}") };
    let list =
        |cell: &str| -> Vec<String> { cell.split(", ").filter(|part| !part.is_empty()).map(str::to_owned).collect() };
    list(events)
        .into_iter()
        .map(|event| Row {
            state: state.clone(),
            event,
            conditions: list(conditions),
            next: next.clone(),
            actions: list(actions),
            text: line.to_owned(),
        })
        .collect()
}

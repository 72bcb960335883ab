//! A subscriber that takes down every span and every event.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// What it is linked to.
    pub(crate) follows: Vec<&'static str>,
    pub(crate) is_open: bool,
    metadata: &'static Metadata<'static>,
    handles: i64,
}

#[derive(Default)]
struct State {
    spans: Vec<Seen>,
    /// The spans that the thread is in.
    stack: Vec<usize>,
    /// The text of each event, and the span it is in.
    events: Vec<(Option<&'static str>, String)>,
}

type Look = Box<dyn Fn() + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Recorder {
    state: Arc<Mutex<State>>,
    /// Called before anything is taken down.
    look: Arc<OnceLock<Look>>,
}

impl Recorder {
    /// From now on every call of this subscriber makes this call. So the test hangs if one is made under the lock.
    pub(crate) fn look_at(&self, look: impl Fn() + Send + Sync + 'static) {
        assert!(self.look.set(Box::new(look)).is_ok());
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.state.lock().unwrap().spans.clone()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<Seen> {
        self.all().into_iter().filter(|span| span.name == name).collect()
    }

    pub(crate) fn open(&self) -> Vec<&'static str> {
        self.all().iter().filter(|span| span.is_open).map(|span| span.name).collect()
    }

    /// The spans in which an event with this text was seen.
    pub(crate) fn events(&self, text: &str) -> Vec<Option<&'static str>> {
        let state = self.state.lock().unwrap();
        state.events.iter().filter(|(_, event)| event.contains(text)).map(|(span, _)| *span).collect()
    }

    /// All that was said.
    pub(crate) fn text(&self) -> String {
        let state = self.state.lock().unwrap();
        format!("{:?} {:?}", state.spans.iter().map(|span| &span.fields).collect::<Vec<_>>(), state.events)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        self.look.get().into_iter().for_each(|look| look());
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn index(id: &Id) -> usize {
    usize::try_from(id.into_u64()).unwrap() - 1
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = BTreeMap::new();
        attributes.record(&mut Fields(&mut fields));
        self.with(|state| {
            let parent = match attributes.parent() {
                Some(parent) => Some(index(parent)),
                None if attributes.is_root() => None,
                None => state.stack.last().copied(),
            };
            let parent = parent.map(|parent| state.spans[parent].name);
            let metadata = attributes.metadata();
            let (name, follows) = (metadata.name(), Vec::new());
            state.spans.push(Seen { name, parent, fields, follows, is_open: true, metadata, handles: 1 });
            Id::from_u64(state.spans.len().try_into().unwrap())
        })
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.with(|state| values.record(&mut Fields(&mut state.spans[index(span)].fields)));
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.with(|state| {
            let followed = &state.spans[index(follows)];
            assert!(followed.is_open, "a link to a span that is closed: {followed:?}");
            let name = followed.name;
            state.spans[index(span)].follows.push(name);
        });
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        self.with(|state| {
            let span = state.stack.last().map(|span| state.spans[*span].name);
            state.events.push((span, format!("{fields:?}")));
        });
    }

    fn enter(&self, span: &Id) {
        self.with(|state| state.stack.push(index(span)));
    }

    fn exit(&self, span: &Id) {
        self.with(|state| assert_eq!(state.stack.pop(), Some(index(span)), "left in another order than entered"));
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.with(|state| state.spans[index(span)].handles += 1);
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        self.with(|state| {
            let span = &mut state.spans[index(&span)];
            span.handles -= 1;
            span.is_open = span.handles > 0;
            !span.is_open
        })
    }

    fn current_span(&self) -> Current {
        self.with(|state| match state.stack.last() {
            Some(span) => {
                let id = Id::from_u64(u64::try_from(*span).unwrap() + 1);
                Current::new(id, state.spans[*span].metadata)
            }
            None => Current::none(),
        })
    }
}

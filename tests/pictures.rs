//! Scenarios drawn as timelines: what is drawn, how it is placed, and the pictures in the documentation.

mod support;

#[path = "support/picture.rs"]
mod picture;

use std::path::{Path, PathBuf};

use acs_common_drawing::{Fact, Life, Picture};
use proptest::prelude::*;
use roxmltree::{Document, Node};
use serde_json::{Value, json};
use support::scenario::{self, Base, Scenario};

/// The elements and attributes of pictures. None of them loads anything or runs anything.
const ELEMENTS: [&str; 10] = ["svg", "title", "desc", "style", "defs", "pattern", "rect", "path", "circle", "text"];
const ATTRIBUTES: [&str; 21] = [
    "class",
    "role",
    "aria-labelledby",
    "id",
    "width",
    "height",
    "viewBox",
    "x",
    "y",
    "rx",
    "cx",
    "cy",
    "r",
    "d",
    "fill",
    "patternUnits",
    "patternTransform",
    "x1",
    "y1",
    "x2",
    "y2",
];

/// A label as it is on paper: its edges in pixels.
#[derive(Clone, Debug)]
struct Label {
    text: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// What every picture has and none has; then its labels.
fn examine(svg: &str) -> Result<Vec<Label>, String> {
    let document = Document::parse(svg).map_err(|error| format!("not XML: {error}"))?;
    let root = document.root_element();
    let number = |node: Node<'_, '_>, name| node.attribute(name).and_then(|text| text.parse::<f64>().ok());
    let size = (number(root, "width"), number(root, "height"));
    let (Some(width), Some(height)) = size else { return Err(format!("no size: {size:?}")) };
    let named = root.attribute("aria-labelledby").unwrap_or_default().split(' ').collect::<Vec<_>>();
    let first =
        root.children().filter(Node::is_element).take(2).map(|node| (node.tag_name().name(), node.attribute("id")));
    if first.ne([("title", named.first().copied()), ("desc", named.get(1).copied())])
        || root.attribute("role") != Some("img")
    {
        return Err("it has no name for those who cannot see it".to_owned());
    }
    let mut labels = Vec::new();
    for node in root.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        if !ELEMENTS.contains(&name) {
            return Err(format!("an element {name}"));
        }
        if let Some(other) = node.attributes().find(|attribute| !ATTRIBUTES.contains(&attribute.name())) {
            return Err(format!("an attribute {}", other.name()));
        }
        if name != "text" {
            continue;
        }
        // Fonts of fixed width take 0.60 of their size for a cell; the drawing knows nothing of this number.
        let font = if node.attribute("class") == Some("title") { 15.0 } else { 12.0 };
        let text = node.text().unwrap_or_default().to_owned();
        let cells: usize = text.chars().map(|c| if c.is_ascii() || "×…−".contains(c) { 1 } else { 2 }).sum();
        let (Some(left), Some(base)) = (number(node, "x"), number(node, "y")) else {
            return Err(format!("no place of {text:?}"));
        };
        let right = left + cells as f64 * font * 0.605;
        let label = Label { text, left, right, top: base - 0.8 * font, bottom: base + 0.2 * font };
        if label.left < 0.0 || label.right > width || label.top < 0.0 || label.bottom > height {
            return Err(format!("beyond the paper: {label:?}"));
        }
        labels.push(label);
    }
    for (number, one) in labels.iter().enumerate() {
        let covers = |other: &&Label| {
            one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom
        };
        if let Some(other) = labels[..number].iter().find(covers) {
            return Err(format!("{:?} covers {:?}: {one:?}, {other:?}", one.text, other.text));
        }
    }
    Ok(labels)
}

fn both(text: &str) -> [Vec<(String, Scenario)>; 2] {
    let all = |base: Base| scenario::read(text, Some(base)).unwrap().into_iter().map(move |one| (base.heading(), one));
    [all(Base::Default).collect(), all(Base::Reference).collect()]
}

/// Under the default policy and the reference's, one below the other.
fn drawn(file: &Path, width: u32) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let played: Vec<_> = both(&text).into_iter().flatten().collect();
    assert_eq!(played.len(), 2, "{}: one scenario, two policies", file.display());
    picture::draw(file.file_stem().unwrap().to_str().unwrap(), &played, width, usize::MAX)
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Fails when anything that a picture shows has changed, and the pictures in the documentation have not.
#[test]
fn the_documentation_has_the_pictures_as_they_are_drawn_now() {
    let scenarios = files("docs/timelines", "json");
    assert_eq!(scenarios.len(), 6);
    let page = std::fs::read_to_string("docs/timelines.md").unwrap();
    let mut old = Vec::new();
    for file in scenarios {
        for (suffix, width) in picture::WIDTHS {
            let name = format!("{}{suffix}.svg", file.file_stem().unwrap().to_str().unwrap());
            assert!(page.contains(&format!("timelines/{name}")), "docs/timelines.md shows {name}");
            let (path, svg) = (file.with_file_name(&name), drawn(&file, width));
            if std::env::var_os("WRITE_PICTURES").is_some() {
                std::fs::write(path, svg).unwrap();
            } else if std::fs::read_to_string(path).ok() != Some(svg) {
                old.push(name);
            }
        }
    }
    assert!(
        old.is_empty(),
        "{old:?} in docs/timelines are not what is drawn now. Look at the change, then write them anew: \
         WRITE_PICTURES=1 cargo test --test pictures the_documentation; and read docs/timelines.md again"
    );
}

/// Fails when `label` does not look at what is taken, or `escape` lets a `<` through.
#[test]
fn every_recorded_scenario_can_be_drawn_and_no_label_covers_another() {
    let mut pictures = 0;
    for file in files("tests/scenarios", "json") {
        let scenarios = scenario::read(&std::fs::read_to_string(&file).unwrap(), None).unwrap();
        for (number, scenario) in scenarios.into_iter().enumerate() {
            let width = [320, 400, 830, 1_600][number % 4];
            let svg = picture::draw("p", &[("its policy".to_owned(), scenario)], width, usize::MAX);
            examine(&svg).unwrap_or_else(|wrong| panic!("{} {number}: {wrong}", file.display()));
            pictures += 1;
        }
    }
    assert!(pictures >= 759, "only {pictures} scenarios were found");
}

/// The numbers above a timeline are those of the recorded timeline, which knows nothing of pictures.
///
/// Fails when `Seen::Returned` is not shown, or when `is_at_once` is true for a caller that waits.
#[test]
fn the_numbers_of_a_picture_are_those_of_the_timeline() {
    let mut compared = 0;
    for file in files("tests/scenarios/own", "json") {
        for scenario in scenario::read(&std::fs::read_to_string(&file).unwrap(), None).unwrap() {
            let timeline = support::play::timeline(&scenario);
            let number = |event: &str| timeline.iter().filter(|one| one["event"] == event).count();
            let calls = number("refresher_called") + number("source_called") + number("exchange_requested");
            let life = picture::life("life", &scenario, usize::MAX);
            let until = scenario.until;
            let svg = Picture { id: "p", title: "", lives: &[life], from: 0, until, width: 830 }.draw();
            let document = Document::parse(&svg).unwrap();
            let text = document.descendants().find(|node| node.has_tag_name("desc")).unwrap().text().unwrap();
            let stated = |what: &str| {
                let before =
                    text.split([',', '.', ':']).find_map(|part| part.trim().strip_suffix(what)?.split(' ').next());
                before.map_or(0, |number| number.parse().unwrap_or(0))
            };
            let asked = scenario.script.iter().filter(|step| matches!(step.action, scenario::Do::GetToken { .. }));
            let asked = asked.filter(|step| step.at <= until).count();
            if timeline.iter().any(|one| one["event"] == "construction_failed") {
                continue;
            }
            let name = &scenario.name;
            assert_eq!(stated(" refreshes") + stated(" refresh"), calls, "{name}: {text}");
            assert_eq!(stated(" requests") + stated(" request"), asked, "{name}: {text}");
            assert_eq!(stated(" with an error"), number("error"), "{name}: {text}");
            let tokens = timeline.iter().filter(|one| one["event"] == "token");
            let at_once = tokens.filter(|token| {
                let asks = |step: &&scenario::Step| matches!(&step.action, scenario::Do::GetToken { id } if token["id"] == *id);
                scenario.script.iter().filter(asks).any(|step| token["at"] == step.at)
            });
            assert_eq!(stated(" served at once"), at_once.count(), "{name}: {text}");
            assert!(stated(" in flight at the end") <= 1, "{name}: {text}");
            compared += 1;
        }
    }
    assert!(compared > 80, "only {compared} were compared");
}

/// Fails when `Axis::x` is not linear, or when a bar is drawn wider than the picture says.
#[test]
fn bars_are_to_scale() {
    let mut life = Life::new("life");
    life.record(1_000, Fact::Held { token: "r1".to_owned(), due: Some(4_000), expires: Some(6_000) });
    let svg = Picture { id: "p", title: "", lives: &[life], from: 0, until: 8_000, width: 892 }.draw();
    let document = Document::parse(&svg).unwrap();
    let bars = document.descendants().filter(|node| node.has_tag_name("rect") && node.descendants().count() > 1);
    let bars =
        bars.filter(|node| node.children().any(|title| title.text().is_some_and(|text| text.starts_with("token r1"))));
    let place = |name: &str, node: &Node<'_, '_>| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let bars: Vec<_> = bars.map(|node| (place("x", &node), place("width", &node))).collect();
    let [(valid, valid_width), (due, due_width)] = bars[..] else { panic!("{bars:?}") };
    // Three seconds until it is due, two until it expires.
    assert!((valid_width / 3.0 - due_width / 2.0).abs() < 0.2, "{bars:?}");
    assert!((valid + valid_width - due).abs() < 0.2, "{bars:?}");
    // From the first second, there are seven more to the right edge, which has a margin of 12 pixels.
    assert!((valid + 7.0 * due_width / 2.0 - 880.0).abs() < 0.6, "{bars:?}");
    assert!(svg.contains("grid lines are 1 s apart"), "{svg}");
}

/// Fails when a token's text, or the text of a refresher's error, gets into a picture.
#[test]
fn pictures_have_names_of_tokens_and_no_token() {
    let scenario = json!({
        "name": "canary", "start": 1_700_000_000, "policy": "default",
        "credential": {"initial_token": {"raw": "CANARY-initial"}},
        "refresher": [
            {"after": 10, "token": {"raw": "CANARY-first"}},
            {"after": 10, "error": "CANARY-error"},
            {"after": 10, "token": {"expires_in": 600}},
        ],
        "script": [
            {"at": 0, "do": "get_token", "id": "a", "every": 5_000, "times": 12},
            {"at": 1_000, "do": "reject", "token": "held", "every": 9_000, "times": 4},
        ],
        "until": 60_000,
    });
    let played = both(&scenario.to_string()).into_iter().flatten().collect::<Vec<_>>();
    let svg = picture::draw("p", &played, 830, usize::MAX);
    examine(&svg).unwrap();
    assert!(svg.contains("initial") && svg.contains("r1"), "{svg}");
    let entra = scenario::read(&std::fs::read_to_string("tests/scenarios/own/entra.json").unwrap(), None).unwrap();
    let entra = entra.into_iter().map(|one| picture::draw("p", &[(String::new(), one)], 830, usize::MAX));
    for svg in entra.chain([svg]) {
        for secret in ["CANARY", "eyJ", "opaque x", "opaque i", "Bearer"] {
            assert!(!svg.contains(secret), "{secret} in {svg}");
        }
    }
}

/// Fails when a hash map or an address has a say in the drawing.
#[test]
fn the_same_scenario_gives_the_same_picture() {
    for file in files("docs/timelines", "json") {
        assert_eq!(drawn(&file, 500), drawn(&file, 500));
    }
}

fn answer() -> impl Strategy<Value = Value> {
    let after = prop_oneof![0..2_000_u64, 0..200_000_u64];
    prop_oneof![
        4 => (after.clone(), 1..7_200_u64).prop_map(|(after, secs)| json!({"after": after, "token": {"expires_in": secs}})),
        2 => (after, any::<bool>()).prop_map(|(after, permanent)| json!({"after": after, "error": "e", "permanent": permanent})),
        1 => Just(json!({"hangs": true})),
    ]
}

fn step(until: u64) -> impl Strategy<Value = Value> {
    let at = 0..until;
    prop_oneof![
        6 => (at.clone(), "[a-e<&é漢 ]{0,60}", 1..until, 1..60_u64).prop_map(
            |(at, id, every, times)| json!({"at": at, "do": "get_token", "id": id, "every": every / 20, "times": times})),
        2 => (at.clone(), 1..until, 1..40_u64).prop_map(
            |(at, every, times)| json!({"at": at, "do": "reject", "token": "held", "every": every / 30, "times": times})),
        1 => (at.clone(), "[a-e]{0,2}1?").prop_map(|(at, id)| json!({"at": at, "do": "cancel", "id": id})),
        1 => at.clone().prop_map(|at| json!({"at": at, "do": "try_now"})),
        1 => (at.clone(), -10_000_000..10_000_000_i64).prop_map(|(at, by)| json!({"at": at, "do": "step_wall_clock", "by": by})),
        1 => (at.clone(), 0..until).prop_map(|(at, millis)| json!({"at": at, "do": "suspend", "for": millis / 3})),
        1 => at.prop_map(|at| json!({"at": at, "do": "dispose"})),
    ]
}

fn random_scenario() -> impl Strategy<Value = Value> {
    prop_oneof![1..10_000_u64, 10_000..20_000_000_u64].prop_flat_map(|until| {
        let lists = (prop::collection::vec(answer(), 0..8), prop::collection::vec(step(until.max(30)), 0..12));
        (lists, any::<bool>(), prop::option::of(answer()), "\\PC{0,80}").prop_map(
            move |((refresher, script), proactive, usual, name)| {
                let mut scenario = json!({
                    "name": name, "start": 1_700_000_000, "until": until, "script": script, "refresher": refresher,
                    "credential": {"initial_token": null, "refresh_proactively": proactive},
                });
                if let Some(usual) = usual.filter(|usual| usual.get("token").is_some()) {
                    let outages = json!([{"from": until / 3, "until": until / 2, "hangs": true}]);
                    scenario["issuer"] = json!({"after": usual["after"], "token": usual["token"], "outages": outages});
                }
                scenario
            },
        )
    })
}

/// Any fact, at any time, in any order.
fn fact() -> impl Strategy<Value = Fact> {
    let text = || prop_oneof![prop::collection::vec(any::<char>(), 0..30).prop_map(String::from_iter), "[ab]".boxed()];
    let moment = || prop::option::of(prop_oneof![any::<u64>(), 0..100_000_u64]);
    let failure = || prop::option::of("\\PC{0,20}");
    prop_oneof![
        text().prop_map(|waiter| Fact::Asked { waiter }),
        (text(), failure()).prop_map(|(waiter, failure)| Fact::Answered { waiter, failure }),
        text().prop_map(|waiter| Fact::Cancelled { waiter }),
        (0..4_u64).prop_map(|call| Fact::Called { call }),
        (0..4_u64, failure()).prop_map(|(call, failure)| Fact::Returned { call, failure }),
        (0..4_u64).prop_map(|call| Fact::Dropped { call }),
        (text(), moment(), moment()).prop_map(|(token, due, expires)| Fact::Held { token, due, expires }),
        prop_oneof![Just(Fact::Lost), Just(Fact::Expired), Just(Fact::Disposed)],
        prop_oneof![any::<u64>(), 0..100_000_u64].prop_map(|until| Fact::BacksOff { until }),
        any::<i64>().prop_map(|by| Fact::ClockSet { by }),
        prop_oneof![any::<u64>(), 0..100_000_u64].prop_map(|until| Fact::Suspended { until }),
        failure().prop_map(|does| Fact::Issuer { does }),
        text().prop_map(|token| Fact::Rejected { token }),
        text().prop_map(|what| Fact::Event { what }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Fails when `GAP` is negative, or `has_room` is always true.
    #[test]
    fn no_label_covers_another_in_random_scenarios(scenario in random_scenario(), width in 320..2_000_u32) {
        let played: Vec<_> = both(&scenario.to_string()).into_iter().flatten().collect();
        let svg = picture::draw("p", &played, width, 1_000);
        if let Err(wrong) = examine(&svg) {
            return Err(TestCaseError::fail(wrong));
        }
    }

    /// Fails when `escape` keeps a control character, or when a moment near the end of time overflows.
    #[test]
    fn any_facts_can_be_drawn(
        facts in prop::collection::vec((prop_oneof![any::<u64>(), 0..100_000_u64], fact()), 0..60),
        from in prop_oneof![any::<u64>(), Just(0), 0..100_000_u64],
        until in prop_oneof![any::<u64>(), 0..100_000_u64],
        title in prop::collection::vec(any::<char>(), 0..30).prop_map(String::from_iter),
        width in any::<u16>(),
    ) {
        let mut life = Life::new(title.as_str());
        for (at, fact) in facts {
            life.record(at, fact);
        }
        let width = u32::from(width);
        let svg = Picture { id: &title, title: &title, lives: &[life.clone(), life], from, until, width }.draw();
        if let Err(wrong) = examine(&svg) {
            return Err(TestCaseError::fail(wrong));
        }
    }

    /// Fails when `condense` keeps a token that is lost, or forgets a call that is in flight.
    #[test]
    fn what_a_life_forgets_is_in_no_later_picture(
        facts in prop::collection::vec((0..1_000_u64, fact()), 0..60),
        forgotten in 0..60_000_u64,
        later in 0..10_000_u64,
    ) {
        let mut life = Life::new("life");
        let mut now = 0;
        for (after, fact) in facts {
            now += after;
            life.record(now, fact);
        }
        let draw = |life: &Life| {
            let from = forgotten + later;
            Picture { id: "p", title: "", lives: core::slice::from_ref(life), from, until: from + 20_000, width: 830 }.draw()
        };
        let all = draw(&life);
        life.forget_before(forgotten);
        prop_assert_eq!(draw(&life), all);
    }
}

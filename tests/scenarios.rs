//! Every scenario file in `tests/scenarios/` plays as its `expected` timeline says.

mod support;

use std::path::{Path, PathBuf};

use support::{check, play, scenario};

#[test]
fn every_recorded_scenario_has_its_expected_timeline() {
    let mut played = 0;
    for file in files(Path::new("tests/scenarios")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let scenarios = scenario::read(&text, None).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for scenario in scenarios {
            let expected = scenario.expected.as_deref().expect("a recorded scenario has a timeline");
            let differences = check::differences(expected, &play::timeline(&scenario));
            assert!(differences.is_empty(), "{}: {}: {}", file.display(), scenario.name, differences.join("\n"));
            played += 1;
        }
    }
    assert!(played >= 759, "only {played} scenarios were found");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

//! Metrics: what workers tell, what docs/metrics.md says, and what alerts and the dashboard ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lazaret::broker::QUEUES;
use lazaret::health::Cause;
use lazaret::metrics;
use lazaret::vitals::{Copied, Vitals};

use super::super::{Words, rows_of};

const PAGE: &str = include_str!("../../docs/metrics.md");
const RULES: &str = include_str!("../../deploy/prometheus/lazaret.rules.yml");
const TRIALS: &str = include_str!("../../deploy/prometheus/lazaret.test.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/lazaret.json");

/// What a worker tells that has something to tell of everything.
fn text() -> String {
    let vitals = Vitals::new();
    vitals.gauges.queues_have(QUEUES.map(|queue| (queue, 1)).to_vec());
    vitals.gauges.copy(Copied {
        tenants: vec![("acme".to_owned(), 3)],
        ..Copied::default()
    });
    metrics::text(&vitals)
}

/// Metrics by name, with their labels.
fn told() -> BTreeMap<String, Words> {
    let text = text();
    let mut told = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            name = rest.split(' ').next().unwrap();
            told.insert(name.to_owned(), Words::new());
        } else if let (false, Some((_, labels))) = (line.starts_with('#'), line.split_once('{')) {
            let names = labels
                .split("=\"")
                .map(|part| part.rsplit(['{', ',', '"']).next().unwrap());
            let names: Vec<_> = names
                .filter(|name| !name.is_empty() && *name != "le" && !name.contains('}'))
                .collect();
            told.get_mut(name).unwrap().extend(names.into_iter().map(str::to_owned));
        }
    }
    told
}

fn quoted(cell: &str) -> Words {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_metric_is_documented_with_its_labels_and_no_other() {
    let told = told();
    assert!(told.len() > 30, "{told:?}");
    let written: BTreeMap<_, _> = rows_of(PAGE, "| metric | labels | |")
        .into_iter()
        .map(|(name, labels)| (name.trim_matches('`').to_owned(), quoted(labels)))
        .collect();
    assert_eq!(written, told);
    let causes = rows_of(PAGE, "| cause | the worker takes no work, because |").into_iter();
    let causes: Vec<_> = causes.map(|(cause, _)| cause.trim_matches('`').to_owned()).collect();
    assert_eq!(causes, Cause::ALL.map(|cause| cause.word().to_owned()));
}

#[test]
fn units_and_kinds_are_in_the_names() {
    for line in text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ").map(str::to_owned))
    {
        let (name, kind) = line.split_once(' ').unwrap();
        assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        let unit = name.ends_with("_seconds") || name.ends_with("_bytes");
        assert!(unit || kind != "histogram", "{line}");
    }
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let told = told();
    for (place, document) in [("rules", RULES), ("trials", TRIALS), ("dashboard", DASHBOARD)] {
        let words = document.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let asked: BTreeSet<&str> = words.filter(|word| word.starts_with("lazaret_")).collect();
        assert!(asked.len() > 5, "{place}: {asked:?}");
        for name in asked {
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            let known = told.contains_key(name) || of_histogram.is_some_and(|name| told.contains_key(name));
            assert!(known, "{place}: {name}");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

#[test]
fn promtool_finds_nothing_wrong() {
    for (arguments, input) in [
        (&["check", "rules", "lazaret.rules.yml"][..], ""),
        (&["test", "rules", "lazaret.test.yml"], ""),
        (&["check", "metrics"], text().as_str()),
    ] {
        let output = promtool(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

/// Runs promtool beside the rules: where `make need-unpacked` unpacked it, or that of the host.
pub(super) fn promtool(arguments: &[&str], input: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unpacked = root.join("target/prometheus/usr/bin/promtool");
    let mut command = match unpacked.is_file() {
        true => Command::new(unpacked),
        false => Command::new("promtool"),
    };
    command.args(arguments).current_dir(root.join("deploy/prometheus"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().expect("promtool, of prometheus");
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    process.wait_with_output().unwrap()
}

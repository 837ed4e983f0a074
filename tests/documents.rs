//! What is written for others, held against the code: definitions, AsyncAPI, messages, metrics, and the files that deploy it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod documents {
    mod deploy;
    mod metrics;
    mod notices;
}

use std::collections::BTreeSet;

use lazaret::broker::Envelope;
use lazaret::broker::envelope::REPLIES;
use lazaret::broker::topology::Topology;
use lazaret::event::{Event, TYPE};
use lazaret::format::Format;
use lazaret::info::{ColourModel, Info};
use lazaret::job::{Body, Source};
use lazaret::recipe::{Animation, Crop, Fit, Flip, Gravity, Keep, Placeholder, Rendition, Target, Wishes};
use lazaret::verdict::{Note, Notes, Reason, Report, Status, Stored};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

const ASYNCAPI: &str = include_str!("../docs/asyncapi.yaml");
const MESSAGES: &str = include_str!("../docs/messages.md");
const RECIPES: &str = include_str!("../docs/recipes.md");
const RABBITMQ: &str = include_str!("../docs/rabbitmq.md");
const DEFINITIONS: &str = include_str!("../docs/rabbitmq/definitions.json");

type Words = BTreeSet<String>;

#[test]
fn the_definitions_are_those_that_the_program_prints() {
    let printed = serde_json::to_string_pretty(&Topology::wanted().definitions("/")).unwrap();
    assert_eq!(
        DEFINITIONS,
        printed + "\n",
        "lazaret topology definitions > docs/rabbitmq/definitions.json"
    );
}

#[test]
fn every_exchange_and_queue_is_documented_and_no_other() {
    let wanted = Topology::wanted();
    let exchanges = wanted.exchanges.iter().map(|it| it.name.clone());
    let queues = wanted.queues.iter().map(|it| it.name.clone());
    let all: Words = exchanges.chain(queues).collect();
    // Of the sidelines, the first and the last are written.
    let between = |name: &String| name.starts_with("lazaret.side.") && !name.ends_with("00") && !name.ends_with("15");
    let written: Words = all.iter().filter(|name| !between(name)).cloned().collect();
    for (document, text) in [("asyncapi", ASYNCAPI), ("messages", MESSAGES), ("rabbitmq", RABBITMQ)] {
        let mut named = names(text);
        // An event's type, files of the operator's, and queues that clients make for themselves.
        for other in [TYPE, "lazaret.toml", "lazaret.json", REPLIES.trim_end_matches('.')] {
            named.remove(other);
        }
        assert_eq!(named, written, "{document}");
    }
}

#[test]
fn every_field_is_in_the_schemas() {
    let rendition = fields_by_error::<Rendition>();
    for (schema, fields) in [
        ("Job", fields_by_error::<Body>()),
        ("Source", fields_by_error::<Source>()),
        ("Rendition", rendition),
        ("Crop", fields_by_error::<Crop>()),
        (
            "Event",
            fields(&Event::of(report(), &Envelope::default(), chrono::DateTime::UNIX_EPOCH)),
        ),
        ("Result", fields(&report())),
        ("Stored", fields(&report().renditions[0])),
        ("Info", fields(&info())),
    ] {
        let schema_of = &asyncapi()["components"]["schemas"][schema];
        assert_eq!(fields_of(&schema_of["properties"]), fields, "{schema}");
        if ["Event", "Result", "Stored", "Info"].contains(&schema) {
            // Frames are told of animations alone, addresses where they are asked for.
            let always = fields
                .into_iter()
                .filter(|field| schema != "Stored" || !["frames", "url"].contains(&field.as_str()));
            assert_eq!(
                strings(&schema_of["required"]),
                always.collect::<Words>(),
                "{schema}: all others are always there"
            );
        }
    }
}

#[test]
fn every_field_is_in_the_words() {
    let job = fields_by_error::<Body>().into_iter().filter(|field| field != "source");
    let source = fields_by_error::<Source>()
        .into_iter()
        .map(|field| format!("source.{field}"));
    assert_eq!(first_column("| field | |"), job.chain(source).collect());
    assert_eq!(
        first_column("| field of a rendition | |"),
        fields_by_error::<Rendition>()
    );
    let recipe = rows_of(RECIPES, "| key | values |")
        .into_iter()
        .map(|(key, _)| key.trim_matches('`').to_owned());
    let keys = recipe.chain(["renditions".to_owned()]).collect::<Words>();
    assert_eq!(keys, fields_by_error::<Wishes>());
    let keys = rows_of(RECIPES, "| key | unit and range |").into_iter();
    assert_eq!(
        keys.map(|(key, _)| key.trim_matches('`').to_owned()).collect::<Words>(),
        fields_by_error::<Rendition>()
    );
    let (_, data) = MESSAGES.split_once("`data`:\n\n`").unwrap();
    let (data, _) = data.split_once('`').unwrap();
    let (before, rest) = data.split_once("[{").unwrap();
    let (stored, after) = rest.split_once("}]").unwrap();
    assert_eq!(listed(stored), fields(&report().renditions[0]));
    assert_eq!(listed(&format!("{before}{after}")), fields(&report()));
}

#[test]
fn every_status_and_reason_is_documented_and_no_other() {
    let schemas = &asyncapi()["components"]["schemas"];
    assert_eq!(
        strings(&schemas["Result"]["properties"]["status"]["enum"]),
        variants::<Status>()
    );
    assert_eq!(
        strings(&schemas["Result"]["properties"]["reason"]["enum"]),
        variants::<Reason>()
    );
    assert_eq!(
        strings(&schemas["Result"]["properties"]["notes"]["items"]["enum"]),
        variants::<Note>()
    );
    assert_eq!(first_column("| note | |"), variants::<Note>());
    assert_eq!(
        strings(&schemas["Stored"]["properties"]["format"]["enum"]),
        variants::<Format>()
    );
    assert_eq!(
        strings(&schemas["Rendition"]["properties"]["format"]["enum"]),
        variants::<Target>()
    );
    assert_eq!(
        strings(&schemas["Rendition"]["properties"]["keep"]["items"]["enum"]),
        variants::<Keep>()
    );
    assert_eq!(
        strings(&schemas["Rendition"]["properties"]["fit"]["enum"]),
        variants::<Fit>()
    );

    assert_eq!(
        strings(&schemas["Rendition"]["properties"]["animation"]["enum"]),
        variants::<Animation>()
    );

    let enumerated = |field: &str| strings(&schemas["Rendition"]["properties"][field]["enum"]);
    assert_eq!(enumerated("flip"), variants::<Flip>());
    assert_eq!(enumerated("gravity"), variants::<Gravity>());

    assert_eq!(
        strings(&schemas["Job"]["properties"]["placeholder"]["enum"]),
        variants::<Placeholder>()
    );
    assert_eq!(
        strings(&schemas["Info"]["properties"]["colour"]["enum"]),
        variants::<ColourModel>()
    );

    let mut written = Words::new();
    for (status, reasons) in rows("| status | reasons |") {
        let status: Status = serde_json::from_value(json!(status.trim_matches('`'))).unwrap();
        for reason in reasons.split('`').skip(1).step_by(2).flat_map(listed) {
            let parsed: Reason = serde_json::from_value(json!(reason)).unwrap();
            assert_eq!(parsed.status(), status, "{reason}");
            written.insert(reason);
        }
    }
    assert_eq!(written, variants::<Reason>());
    let statuses: Words = rows("| status | reasons |")
        .into_iter()
        .map(|(status, _)| status.trim_matches('`').to_owned())
        .collect();
    assert_eq!(statuses, variants::<Status>());
}

#[test]
fn every_reference_of_the_asyncapi_document_leads_somewhere() {
    let document = asyncapi();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let target = document.pointer(reference.trim_start_matches('#'));
        assert!(target.is_some(), "{reference}");
    }
}

/// `lazaret.jobs` and the like; the name of a schema's part or a folder is none.
fn names(text: &str) -> Words {
    let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
    let names = parts
        .map(|part| part.trim_end_matches('.'))
        .filter(|part| part.starts_with("lazaret."));
    names.map(str::to_owned).collect()
}

/// Keys of what is written.
fn fields(value: &impl Serialize) -> Words {
    fields_of(&json!(value))
}

fn fields_of(object: &Value) -> Words {
    object.as_object().unwrap().keys().cloned().collect()
}

/// Keys of what is read, from the error that an unknown one gives.
fn fields_by_error<T: DeserializeOwned>() -> Words {
    quoted_after_first(serde_json::from_value::<T>(json!({ "no such field": 0 })))
}

/// Words of an enumeration, in the same way.
fn variants<T: DeserializeOwned>() -> Words {
    quoted_after_first(serde_json::from_value::<T>(json!("no such word")))
}

fn quoted_after_first<T>(result: Result<T, serde_json::Error>) -> Words {
    let error = result.err().unwrap().to_string();
    let words: Words = error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect();
    assert!(words.len() > 1, "{error}");
    words
}

/// `a, b, c`
fn listed(text: &str) -> Words {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The two columns of a table of messages.md.
fn rows(head: &str) -> Vec<(&'static str, &'static str)> {
    rows_of(MESSAGES, head)
}

/// The first two columns of the table that begins with `head`.
fn rows_of(document: &'static str, head: &str) -> Vec<(&'static str, &'static str)> {
    let (_, table) = document.split_once(head).unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let mut cells = line.split('|').skip(1).map(str::trim);
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect()
}

/// What is named before the first bar of each row.
fn first_column(head: &str) -> Words {
    let rows = rows(head).into_iter();
    rows.flat_map(|(first, _)| first.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn strings(list: &Value) -> Words {
    list.as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| match value.as_str() {
            Some(target) if key == "$ref" => into.push(target.to_owned()),
            _ => collect_references(value, into),
        }),
        Value::Array(list) => list.iter().for_each(|value| collect_references(value, into)),
        _ => {}
    }
}

fn asyncapi() -> Value {
    plain(&YamlLoader::load_from_str(ASYNCAPI).unwrap()[0])
}

fn plain(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(hash) => {
            let pairs = hash
                .iter()
                .map(|(key, value)| (key.as_str().unwrap().to_owned(), plain(value)));
            Value::Object(pairs.collect())
        }
        Yaml::Array(list) => list.iter().map(plain).collect(),
        Yaml::String(text) => json!(text),
        Yaml::Integer(number) => json!(number),
        Yaml::Boolean(truth) => json!(truth),
        Yaml::Null => Value::Null,
        other => panic!("{other:?} has no place in this document"),
    }
}

fn info() -> Info {
    Info {
        alpha: false,
        colour: ColourModel::Rgb,
        captured: None,
    }
}

/// A report with every field.
fn report() -> Report {
    let digest = || "0".repeat(64).parse().unwrap();
    Report {
        job: "j".to_owned(),
        tenant: "t".to_owned(),
        status: Status::Converted,
        reason: None,
        detail: None,
        repeat: false,
        sha256: Some(digest()),
        bytes: None,
        format: None,
        width: None,
        height: None,
        frames: None,
        placeholder: None,
        info: Some(info()),
        renditions: vec![Stored {
            name: "thumb".to_owned(),
            store: "renditions".to_owned(),
            key: "k".to_owned(),
            format: Format::Jpeg,
            width: 1,
            height: 1,
            bytes: 1,
            sha256: digest(),
            quality: Some(80),
            frames: 2,
            url: Some("https://bucket.example/k?signature".to_owned()),
        }],
        notes: Notes::NONE,
        cpu_ms: None,
        wall_ms: None,
        peak_memory_bytes: None,
        queued_ms: None,
        worker: "w".to_owned(),
        metadata: Value::Null,
    }
}

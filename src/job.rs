//! A job: one message that asks for renditions of one upload. `[pure]`
//!
//! In: the body of a message, hostile or merely wrong. Out: a [`Job`], or an [`InvalidJob`] that names the field, with the job's id and
//! tenant where they can be read, so that somebody can be told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::recipe::{Placeholder, Recipe, Rendition, Wishes};

/// Largest message body, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// Largest `metadata`, in bytes of JSON.
pub const MAX_METADATA: usize = 4 * 1024;
/// Longest id, tenant and store name, in bytes.
pub const MAX_NAME: usize = 128;
/// Longest key, in bytes.
pub const MAX_KEY: usize = 1024;
/// Longest part of a key, in bytes: what file systems take for a name.
pub const MAX_PART: usize = 255;
/// No part of a key: where stores keep objects that are not whole yet.
pub const STAGING: &str = ".staging";

/// A checked job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The job's id; a job with the same id is the same job.
    pub job: String,
    /// Whose job it is.
    pub tenant: String,
    /// Where the upload is.
    pub source: Source,
    /// What to make.
    pub recipe: Recipe,
    /// Echoed in the result.
    pub metadata: Value,
}

/// Where an upload is: a key in a store that the configuration names. Never a URL, never a path outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The store's name.
    pub store: String,
    /// The upload's key in it.
    pub key: String,
    /// What the sender believes the digest to be; only ever a reason to refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What the sender believes the size to be, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// The message as it is written: §5 of the contract, `docs/messages.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The job's id.
    pub job: String,
    /// Whose job it is.
    pub tenant: String,
    /// Where the upload is.
    pub source: Source,
    /// Pictures to make; or else `preset`, or neither where `placeholder` or `info` is all that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renditions: Option<Vec<Rendition>>,
    /// A recipe from the configuration; or else `renditions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// A text that stands for the picture while it loads; wins over that of the preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<Placeholder>,
    /// Whether facts from the upload's headers are told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub info: bool,
    /// Echoed in the result; at most 4 KiB.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metadata: Value,
}

/// A message that breaks the contract.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidJob {
    /// The field and what is wrong with it.
    pub problem: String,
    /// The job's id and tenant, where both can be read: then the sender is told, otherwise the message is set aside.
    pub sender: Option<(String, String)>,
    /// The job's metadata, where it can be echoed.
    pub metadata: Value,
}

impl Job {
    /// Reads and checks a message body. `presets` and `stores` are those of the configuration.
    pub fn parse(body: &[u8], presets: &BTreeMap<String, Recipe>, stores: &[&str]) -> Result<Self, InvalidJob> {
        if body.len() > MAX_BODY {
            return Err(InvalidJob::unreadable(format!(
                "body: {} bytes, at most {MAX_BODY} allowed",
                body.len()
            )));
        }
        let object: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| InvalidJob::unreadable(format!("body: {error}")))?;
        let blame = |problem: String| InvalidJob::from_sender(&object, problem);
        let body = serde_path_to_error::deserialize(Value::Object(object.clone()));
        let body = body.map_err(|error| blame(at_its_field(&error)))?;
        Self::check(body, presets, stores).map_err(blame)
    }

    fn check(body: Body, presets: &BTreeMap<String, Recipe>, stores: &[&str]) -> Result<Self, String> {
        check_name("job", &body.job)?;
        check_name("tenant", &body.tenant)?;
        if !stores.contains(&body.source.store.as_str()) {
            return Err(format!(
                "source.store: there is no store {:?}, only {}",
                cut(&body.source.store),
                stores.join(", ")
            ));
        }
        check_key(&body.source.key)?;
        if body.metadata.to_string().len() > MAX_METADATA {
            return Err(format!("metadata: more than {MAX_METADATA} bytes"));
        }
        let wishes = match (body.renditions, body.preset) {
            (Some(renditions), None) => Wishes {
                renditions,
                ..Wishes::default()
            },
            (None, Some(name)) => presets
                .get(&name)
                .map(|preset| preset.wishes().clone())
                .ok_or_else(|| {
                    let known: Vec<_> = presets.keys().map(String::as_str).collect();
                    format!(
                        "preset: there is no preset {:?}, only: {}",
                        cut(&name),
                        known.join(", ")
                    )
                })?,
            (Some(_), Some(_)) => return Err("renditions, preset: only one of them".to_owned()),
            (None, None) if body.placeholder.is_some() || body.info => Wishes::default(),
            (None, None) => {
                return Err("renditions, preset: one of them is needed, or else placeholder or info".to_owned());
            }
        };
        let recipe = Recipe::of(Wishes {
            placeholder: body.placeholder.or(wishes.placeholder),
            info: body.info || wishes.info,
            ..wishes
        });
        let recipe = recipe.map_err(|error| error.to_string())?;
        Ok(Self {
            job: body.job,
            tenant: body.tenant,
            source: body.source,
            recipe,
            metadata: body.metadata,
        })
    }
}

impl InvalidJob {
    fn unreadable(problem: String) -> Self {
        Self {
            problem,
            sender: None,
            metadata: Value::Null,
        }
    }

    fn from_sender(object: &Map<String, Value>, problem: String) -> Self {
        let name = |field: &str| {
            let name = object.get(field)?.as_str()?;
            check_name("", name).is_ok().then(|| name.to_owned())
        };
        let sender = name("job").zip(name("tenant"));
        let echo = object
            .get("metadata")
            .filter(|metadata| metadata.to_string().len() <= MAX_METADATA);
        Self {
            problem: problem.chars().take(300).collect(),
            sender,
            metadata: echo.cloned().unwrap_or_default(),
        }
    }
}

/// Ids and tenants become file names, routing keys and log fields: a short, plain alphabet for all of them.
pub fn check_name(field: &str, name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '@');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(legal) {
        return Err(format!(
            "{field}: {:?} is not 1 to {MAX_NAME} of a-z A-Z 0-9 _ - : @",
            cut(name)
        ));
    }
    Ok(())
}

/// Keys are relative, in normal form, and printable.
pub fn check_key(key: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("source.key: {:?} {why}", cut(key)));
    if key.is_empty() || key.len() > MAX_KEY {
        return wrong("is empty or too long");
    }
    if key.chars().any(char::is_control) || key.contains('\\') {
        return wrong("has a control character or a backslash");
    }
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return wrong("is not a plain relative path");
    }
    if key.split('/').any(|part| part.len() > MAX_PART || part == STAGING) {
        return wrong("has a part that is too long, or reserved");
    }
    Ok(())
}

/// What does not fit, and where: `source.bytes: invalid type…`.
fn at_its_field(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    match error.path().iter().next() {
        Some(_) => format!("{}: {}", error.path(), error.inner()),
        None => format!("body: {}", error.inner()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(body: &Value) -> Result<Job, InvalidJob> {
        let web = Recipe::new(vec![Rendition::named("thumb")]).unwrap();
        Job::parse(
            body.to_string().as_bytes(),
            &BTreeMap::from([("web".to_owned(), web)]),
            &["uploads"],
        )
    }

    fn good() -> Value {
        json!({
            "job": "0193b2a4-7d0e", "tenant": "acme",
            "source": { "store": "uploads", "key": "2026/11/cat.jpg" },
            "renditions": [{ "name": "thumb", "format": "webp", "width": 320, "height": 320, "fit": "cover" }],
            "metadata": { "page": 7 },
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let mut body = good();
        body.pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .insert(field.to_owned(), value);
        body
    }

    #[test]
    fn a_good_job_is_read() {
        let job = parse(&good()).unwrap();
        assert_eq!((job.tenant.as_str(), job.recipe.renditions().len()), ("acme", 1));
        assert_eq!(job.metadata, json!({ "page": 7 }));
    }

    #[test]
    fn placeholder_and_info_go_with_renditions_with_a_preset_and_alone() {
        let wishes = |renditions: Option<Value>, preset: Option<&str>| {
            let mut body = with("/info", json!(true));
            let fields = body.as_object_mut().unwrap();
            fields.insert("placeholder".to_owned(), json!("blurhash"));
            fields.remove("renditions");
            fields.extend(renditions.map(|list| ("renditions".to_owned(), list)));
            fields.extend(preset.map(|name| ("preset".to_owned(), json!(name))));
            parse(&body).unwrap().recipe
        };
        for (recipe, count) in [
            (wishes(Some(json!([{ "name": "a" }, { "name": "b" }])), None), 2),
            (wishes(None, Some("web")), 1),
            (wishes(Some(json!([])), None), 0),
            (wishes(None, None), 0),
        ] {
            assert_eq!(
                (recipe.placeholder(), recipe.info()),
                (Some(Placeholder::Blurhash), true)
            );
            assert_eq!(recipe.renditions().len(), count);
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_the_sender_is_known() {
        let cases = [
            (with("/source/store", json!("elsewhere")), "source.store"),
            (with("/source/key", json!("../../etc/passwd")), "source.key"),
            (with("/source/key", json!("/etc/passwd")), "source.key"),
            (with("/source/key", json!("a//b")), "source.key"),
            (with("/source/key", json!("a\u{0}b")), "source.key"),
            (with("/source/key", json!(".staging/.tmpX")), "reserved"),
            (with("/source/key", json!("x".repeat(256))), "too long"),
            (with("/source/url", json!("http://localhost")), "unknown field `url`"),
            (with("/source/sha256", json!("abc")), "digest"),
            (with("/priority", json!(9)), "unknown field `priority`"),
            (with("/source/bytes", json!("many")), "source.bytes: invalid type"),
            (
                with("/renditions", json!([{ "name": "a", "width": "9" }])),
                "renditions[0].width: invalid type",
            ),
            (with("/renditions", json!([])), "renditions"),
            (with("/renditions", json!([{ "name": "a", "width": 0 }])), "width"),
            (
                with("/renditions", json!([{ "name": "a", "format": "exe" }])),
                "unknown variant `exe`",
            ),
            (with("/preset", json!("web")), "only one of them"),
            (
                with("/placeholder", json!("lqip")),
                "placeholder: unknown variant `lqip`",
            ),
            (with("/info", json!("yes")), "info: invalid type"),
            (with("/metadata", json!("x".repeat(5000))), "metadata"),
        ];
        for (body, part) in cases {
            let invalid = parse(&body).unwrap_err();
            assert!(invalid.problem.contains(part), "{part}: {}", invalid.problem);
            assert_eq!(
                invalid.sender,
                Some(("0193b2a4-7d0e".to_owned(), "acme".to_owned())),
                "{part}"
            );
        }
    }

    #[test]
    fn without_a_legal_id_nobody_can_be_told() {
        for body in [
            with("/job", json!("../x")),
            with("/tenant", json!("a.b")),
            json!([1]),
            json!("x"),
        ] {
            assert_eq!(parse(&body).unwrap_err().sender, None, "{body}");
        }
        assert_eq!(
            Job::parse(&[b' '; MAX_BODY + 1], &BTreeMap::new(), &[])
                .unwrap_err()
                .sender,
            None
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(body: Vec<u8>) {
            let _ = Job::parse(&body, &BTreeMap::new(), &["uploads"]);
        }

        #[test]
        fn no_accepted_key_climbs(key in "[a./\\\\]{0,12}") {
            if check_key(&key).is_ok() {
                prop_assert!(!key.starts_with('/') && !key.split('/').any(|part| part == ".."));
            }
        }
    }
}

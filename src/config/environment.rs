//! `LAZARET_…` variables over the file's values, and errors of both in words that help.

use std::ffi::OsString;

use toml::{Table, Value};

use super::{Config, ConfigError, TENANT_DEFAULT};
use crate::tenants::{Limits, SomeLimits};

/// Prefix of the variables.
const PREFIX: &str = "LAZARET_";
/// Read by the command line itself, or secrets: not by the configuration.
const NOT_SETTINGS: [&str; 5] = ["STATE", "CONFIG", "SERVER", "TOKEN", "NOTICES_SECRET"];

/// The variables of this process, without their prefix.
pub(super) fn of_this_process() -> Result<Vec<(String, String)>, ConfigError> {
    ours(std::env::vars_os())
}

/// Those variables that are settings. One that is not UTF-8 is an error if it is ours, and nothing to us otherwise.
fn ours(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, ConfigError> {
    let named = variables.filter_map(|(name, value)| Some((name.to_str()?.strip_prefix(PREFIX)?.to_owned(), value)));
    named
        .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(ConfigError {
                place: format!("{PREFIX}{name}"),
                problem: "its value is not UTF-8".to_owned(),
            }),
        })
        .collect()
}

/// The file's values with the variables' over them.
pub(super) fn over(text: &str, environment: Vec<(String, String)>) -> Result<Config, ConfigError> {
    let named = |name: &str, problem: String| ConfigError {
        place: format!("{PREFIX}{name}"),
        problem,
    };
    let mut table: Table = toml::from_str(text).map_err(|error| named("", error.to_string()))?;
    for (name, value) in environment {
        let path = path_of(&name).map_err(|problem| named(&name, problem))?;
        put(&mut table, &path, literal(&value));
        // One at a time, so that the error is the one of this variable.
        Config::deserialize_table(&table).map_err(|problem| named(&name, problem))?;
    }
    Config::deserialize_table(&table).map_err(|problem| named("", problem))
}

impl Config {
    fn deserialize_table(table: &Table) -> Result<Self, String> {
        table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| helpful(error.message()))
    }
}

/// `LIMITS_CPU_BASE` is `limits`, `cpu_base`: a section's name, then the rest. Layers are written with hyphens.
fn path_of(name: &str) -> Result<Vec<String>, String> {
    let lower = name.to_lowercase();
    let known = toml::Table::try_from(Config::default()).unwrap_or_default();
    if known.get(&lower).is_some_and(|value| !value.is_table()) {
        return Ok(vec![lower]);
    }
    let (section, key) = lower.split_once('_').unwrap_or((&lower, ""));
    if section == "tenants" {
        return tenant_path(key);
    }
    match known.get(section) {
        Some(Value::Table(keys)) if section == "stores" || keys.contains_key(key) => {
            Ok(vec![section.to_owned(), key.to_owned()])
        }
        // A table within a section: the switches of formats.
        Some(Value::Table(keys)) if within(keys, key).is_some() => {
            let (table, key) = within(keys, key).unwrap_or_default();
            Ok([section, table, key].map(str::to_owned).to_vec())
        }
        _ => {
            let all = known.iter().flat_map(|(section, value)| match value {
                Value::Table(keys) => names(section, keys),
                _ => vec![section.clone()],
            });
            let nearest = nearest(&lower, all).map(|key| format!("; did you mean {PREFIX}{}?", key.to_uppercase()));
            Err(format!("is no setting{}", nearest.unwrap_or_default()))
        }
    }
}

/// `formats_svg` is `formats`, `svg`, where the first is a table that has the second.
fn within<'a>(keys: &Table, key: &'a str) -> Option<(&'a str, &'a str)> {
    let (table, key) = key.split_once('_')?;
    let inner = keys.get(table)?.as_table()?;
    inner.get(key).is_some_and(Value::is_str).then_some((table, key))
}

/// Of tenants, only the default can be set: names have capitals and punctuation that a variable cannot carry.
fn tenant_path(key: &str) -> Result<Vec<String>, String> {
    let keys = Table::try_from(SomeLimits::from(Limits::default())).unwrap_or_default();
    match key.strip_prefix(TENANT_DEFAULT).and_then(|rest| rest.strip_prefix('_')) {
        Some(limit) if keys.contains_key(limit) => Ok(["tenants", TENANT_DEFAULT, limit].map(str::to_owned).to_vec()),
        Some(limit) => {
            let near = nearest(limit, keys.keys().cloned());
            let near = near.map(|key| format!("; did you mean {PREFIX}TENANTS_DEFAULT_{}?", key.to_uppercase()));
            Err(format!("is no setting{}", near.unwrap_or_default()))
        }
        None => Err(format!(
            "is no setting; {PREFIX}TENANTS_DEFAULT_… sets the limits of all tenants, those of one are set in the file, [tenants.NAME]"
        )),
    }
}

/// The settings of a section, those of a table within it too.
fn names(section: &str, keys: &Table) -> Vec<String> {
    let of_key = |(key, value): (&String, &Value)| match value {
        Value::Table(inner) => inner.keys().map(|name| format!("{section}_{key}_{name}")).collect(),
        _ => vec![format!("{section}_{key}")],
    };
    keys.iter().flat_map(of_key).collect()
}

fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => drop(table.insert(key.clone(), value)),
        [section, rest @ ..] => {
            let inner = table
                .entry(section.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Whole numbers and booleans as such, all else as text.
fn literal(value: &str) -> Value {
    match (value.parse::<i64>(), value.parse::<bool>()) {
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(truth)) => Value::Boolean(truth),
        _ => Value::String(value.to_owned()),
    }
}

/// An error of the file, with its line and column.
pub(super) fn explain(error: &toml::de::Error, text: &str, place: &str) -> ConfigError {
    let place = match error.span() {
        Some(span) => {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!("{place}:{line}:{column}")
        }
        None => place.to_owned(),
    };
    ConfigError {
        place,
        problem: helpful(error.message()),
    }
}

/// An unknown key with the nearest right one in place of the whole list.
fn helpful(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted[..] {
        [wrong, ref right @ ..] if message.starts_with("unknown field") && !right.is_empty() => {
            let known = || right.iter().map(|key| (*key).to_owned());
            match nearest(wrong, known()) {
                Some(near) => format!("unknown key `{wrong}`; did you mean `{near}`?"),
                None => format!("unknown key `{wrong}`; known here: {}", right.join(", ")),
            }
        }
        _ => message.to_owned(),
    }
}

fn nearest(wrong: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|key| (strsim::damerau_levenshtein(wrong, &key), key))
        .filter(|(distance, key)| *distance <= (key.len() / 3).max(2))
        .min()
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn variables_that_are_not_utf_8_are_named_where_they_are_ours() {
        let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let good = (bytes(b"LAZARET_LIMITS_SCANS"), bytes(b"7"));
        let others = [
            (bytes(b"LAZARET_\xff"), bytes(b"x")),
            (bytes(b"HOME"), bytes(b"/\xff")),
            (bytes(b"LAZARET_STATE"), bytes(b"/\xff")),
            (bytes(b"LAZARET_TOKEN"), bytes(b"lzt_")),
            (bytes(b"LAZARET_NOTICES_SECRET"), bytes(b"whsec_")),
        ];
        let read = ours(others.into_iter().chain([good])).unwrap();
        assert_eq!(read, [("LIMITS_SCANS".to_owned(), "7".to_owned())]);
        let error = ours([(bytes(b"LAZARET_LEDGER"), bytes(b"sqlite:\xff"))].into_iter()).unwrap_err();
        assert_eq!(error.to_string(), "LAZARET_LEDGER: its value is not UTF-8");
    }
}

//! Where the signing secret is: in a file that is its owner's alone, or in the environment; never in the configuration, which people show each other.
#![forbid(unsafe_code)]

use std::path::Path;

use super::sign::Keys;
use crate::config::ConfigError;
use crate::owned;

/// Where it is where no file is named.
const VARIABLE: &str = "LAZARET_NOTICES_SECRET";

/// Finds it. The file wins over the variable.
pub(super) fn find(file: Option<&Path>) -> Result<Keys, ConfigError> {
    let wrong = |place: &str, problem: String| ConfigError {
        place: place.to_owned(),
        problem,
    };
    if let Some(path) = file {
        let named = |problem: String| wrong("notices.secret_file", format!("{}: {problem}", path.display()));
        return owned::read(path).and_then(|text| Keys::read(&text)).map_err(named);
    }
    match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(value) => Keys::read(value.to_str().unwrap_or_default()).map_err(|problem| wrong(VARIABLE, problem)),
        None => Err(wrong(
            "notices.secret_file",
            format!("is not given, and {VARIABLE} is not set: notices are signed; give one of both"),
        )),
    }
}

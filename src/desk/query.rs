//! How a query is read, and how what was read is told again. `[pure]`
//!
//! What makes no sense is said by its name, and not guessed at; a name that is told back is shortened.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime, Utc};
use url::form_urlencoded;

/// Longest filter, in characters.
pub(super) const LONGEST: usize = 200;
/// A time in a filter, as browsers send it; UTC. Seconds may be missing.
const TIMES: [&str; 2] = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];

/// Name and value.
type Field<'q> = (Cow<'q, str>, Cow<'q, str>);

/// The fields of a query that say something, if each may be one.
pub(super) fn fields(query: &str) -> Result<Vec<Field<'_>>, String> {
    let said = form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty());
    let checked = said.map(|(name, value)| {
        if value.chars().count() > LONGEST {
            return Err(format!("{} is longer than {LONGEST} characters", shortened(&name)));
        }
        // PostgreSQL has no text with one.
        if value.contains('\0') {
            return Err(format!("{} has a character that nothing here has", shortened(&name)));
        }
        Ok((name, value))
    });
    checked.collect()
}

/// The one of these whose word it is.
pub(super) fn known<T: Copy, const N: usize>(
    all: [T; N],
    word_of: fn(T) -> &'static str,
    what: &str,
    word: &str,
) -> Result<T, String> {
    let mut all = all.into_iter();
    all.find(|one| word_of(*one) == word)
        .ok_or_else(|| format!("there is no {what} of that name"))
}

/// Reads a time.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let read = TIMES
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let years = 1970..=9999;
    read.map(|time| time.and_utc())
        .filter(|time| years.contains(&chrono::Datelike::year(time)))
        .ok_or_else(|| "a time is written as 2026-11-22T03:00, in UTC".to_owned())
}

/// A time as [`time`] reads it.
pub(super) fn written(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M").to_string()
}

/// The beginning of a name, for a sentence about it.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_alike_and_no_other_is_read() {
        for text in ["2026-11-22T03:30", "1970-01-01T00:00", "9999-12-31T23:59"] {
            assert_eq!(written(time(text).unwrap()), text);
        }
        assert_eq!(
            time("2026-11-22T03:30:59").map(written),
            Ok("2026-11-22T03:30".to_owned())
        );
        for text in [
            "",
            "soon",
            "2026-11-22",
            "1969-12-31T23:59",
            "99999-01-01T00:00",
            "2026-13-01T00:00",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_that_say_nothing_are_left_out_and_those_that_cannot_be_are_named() {
        let read = |query: &str| {
            let read = fields(query)?;
            Ok::<_, String>(
                read.into_iter()
                    .map(|(name, value)| format!("{name}:{value}"))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(read("a=1&b=&c=%3Cb%3E+x").unwrap(), ["a:1", "c:<b> x"]);
        assert!(read("a=%00").unwrap_err().starts_with("a has a character"));
        assert!(read(&format!("a={}", "ä".repeat(LONGEST))).is_ok());
        assert!(
            read(&format!("a={}", "ä".repeat(LONGEST + 1)))
                .unwrap_err()
                .starts_with("a is longer")
        );
    }
}

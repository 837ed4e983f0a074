//! Tables for people, and how values look in them.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use super::Failure;
use crate::event;
use crate::verdict::{Reason, Report, Status, Stored};

/// A plain table: columns in line, nothing around them.
pub(super) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    table
}

/// Prints a table without trailing blanks.
pub(super) fn print(table: &Table) -> Result<(), Failure> {
    table.lines().try_for_each(|text| line(&text.trim_end()))
}

/// Prints a line. A reader that is gone is an error, not a panic: what was begun must be ended in order.
pub(super) fn line(text: &impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(|error| Failure::Other(format!("standard output: {error}")))
}

/// A reason's word, as in messages.
pub(super) fn reason(reason: Reason) -> String {
    word(&reason)
}

/// The word that an enum is written with in messages.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A verdict in one cell: `quarantined: memory`.
pub(super) fn verdict(report: &Report) -> String {
    match report.reason {
        Some(why) => format!("{}: {}", event::word(report.status), reason(why)),
        None => event::word(report.status).to_owned(),
    }
}

/// A moment, to the second.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Text that came with a file or a tenant, on one line and harmless to a terminal; cut at `most` characters.
pub(super) fn harmless(text: &str, most: usize) -> String {
    let clean: String = text.chars().map(visible).take(most + 1).collect();
    match clean.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

/// The end of a name, where a key or a path tells most.
pub(super) fn tail(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return harmless(text, most);
    }
    let end: String = text.chars().skip(length - most).collect();
    format!("…{}", harmless(&end, most))
}

/// What is to be said of a verdict in one cell: what was made, or why nothing was.
pub(super) fn detail(report: &Report) -> String {
    if report.renditions.is_empty() && report.status == Status::Converted {
        let size = report
            .width
            .zip(report.height)
            .map(|(width, height)| format!("{width}×{height}"));
        let format = report.format.map(|format| format.to_string());
        let preview = report.placeholder.as_ref().map(|preview| preview.as_str().to_owned());
        return [format, size, preview]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
    }
    if report.renditions.is_empty() {
        return harmless(report.detail.as_deref().unwrap_or_default(), 90);
    }
    let made = |made: &Stored| format!("{} {} {}×{}", made.name, made.format, made.width, made.height);
    let made = report.renditions.iter().map(made).collect::<Vec<_>>().join(", ");
    if report.notes.is_empty() {
        return made;
    }
    format!("{made} ({})", report.notes)
}

/// Line breaks as blanks, other control characters as what cannot be shown.
fn visible(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_drive_a_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc", 80), "a\u{fffd}[2Jb c");
        assert_eq!(harmless("abcdef", 3), "abc…");
        assert_eq!(harmless("abc", 3), "abc");
    }
}

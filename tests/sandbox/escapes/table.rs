//! The matrix as a table for people.

use std::fmt::Write as _;

use super::mode::Mode;
use super::row::Tried;

/// Where it is kept.
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/escape-matrix.md");

/// The table, with a column for each mode that was tried.
pub fn text(columns: &[(Mode, Vec<Tried>)]) -> String {
    let mut text = format!("{HEAD}\n| what is tried |");
    for (mode, _) in columns {
        let _ = write!(text, " {} |", mode.name());
    }
    text.push_str(" held by each of these alone | gets through without |\n|---|");
    text.push_str(&"---|".repeat(columns.len() + 2));
    for (index, first) in columns[0].1.iter().enumerate() {
        let tried: Vec<&Tried> = columns.iter().map(|(_, tried)| &tried[index]).collect();
        let _ = write!(text, "\n| {} |", first.what);
        for tried in &tried {
            let _ = write!(
                text,
                " {} |",
                if tried.wrong.is_some() {
                    "ESCAPED"
                } else {
                    &tried.outcome
                }
            );
        }
        let held = by_mode(columns, &tried, held);
        let without = by_mode(columns, &tried, |tried| tried.without.clone());
        let _ = write!(text, " {held} | {without} |");
    }
    text.push('\n');
    text
}

fn held(tried: &Tried) -> String {
    let held = if tried.held_by.is_empty() {
        "–".to_owned()
    } else {
        tried.held_by.join(", ")
    };
    match tried.absent.as_slice() {
        [] => held,
        absent => format!("{held} (not there: {})", absent.join(", ")),
    }
}

/// One word where all modes agree; each mode's own otherwise.
fn by_mode(columns: &[(Mode, Vec<Tried>)], tried: &[&Tried], cell: impl Fn(&Tried) -> String) -> String {
    let cells: Vec<String> = tried.iter().map(|tried| cell(tried)).collect();
    if cells.iter().all(|cell| *cell == cells[0]) {
        return cells[0].clone();
    }
    let named = columns
        .iter()
        .zip(&cells)
        .map(|((mode, _), cell)| format!("{}: {cell}", mode.name()));
    named.collect::<Vec<_>>().join("; ")
}

/// The first cell of a row; `None` where the line is none.
pub fn first_cell(line: &str) -> Option<&str> {
    let cell = line.strip_prefix("| ")?.split(" |").next()?;
    (cell != "what is tried").then_some(cell)
}

const HEAD: &str = "# The escape matrix

Written by `ESCAPES=write cargo test --test sandbox escapes`, on the host that it was run on last. Each drill runs in a child of the real
program: behind all layers, behind each of its guards alone, and with none of them. **Gets through without**: with its guards off it does what it must not, so
the test can fail. Where a guard is no layer but a rule of the supervisor, a counterpart that says and writes the same honestly converts instead.
What a drill would do to the outside (a file, a datagram, a connection, a signal, a limit, bytes of output) is looked for there as well.

`violation`: killed in the call by the filter. `refused`: the call failed, and the child lived to say so.
";

//! The escape matrix: every drill behind all its guards, behind each of them alone, and with none, where it must get through; as root,
//! as a plain user, and where name spaces are refused.
//!
//! `cargo test --test sandbox escapes -- --nocapture` prints it; with `ESCAPES=write` it is written to docs/escape-matrix.md.

mod effect;
mod mode;
mod row;
mod rows;
mod special;
mod table;

use lazaret::sandbox::drill::Drill;

use mode::Mode;
use row::Tried;
use rows::ROWS;

use super::bench::{is_again, skip};

const TEST: &str = "sandbox::escapes::no_drill_escapes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_drill_escapes() {
    if special::is_to_be_orphaned() {
        return special::supervise().await;
    }
    if is_again() {
        for row in ROWS {
            mode::tell(&row.try_all().await);
        }
        for tried in special::try_all().await {
            mode::tell(&tried);
        }
        return;
    }
    // Most of the time somebody waits for a clock: the modes wait side by side.
    let mut running = Vec::new();
    for mode in Mode::ALL {
        match mode.is_possible() {
            true => running.push((mode, tokio::spawn(mode.try_all()))),
            false => skip(&format!("{}: this host does not let it be set up", mode.name())),
        }
    }
    let mut columns: Vec<(Mode, Vec<Tried>)> = Vec::new();
    for (mode, tried) in running {
        columns.push((mode, tried.await.unwrap()));
    }
    assert!(!columns.is_empty());
    let text = table::text(&columns);
    eprintln!("{text}");
    if std::env::var("ESCAPES").is_ok_and(|word| word == "write") {
        std::fs::write(table::PATH, text).unwrap();
    }
    let escaped: Vec<String> = columns
        .iter()
        .flat_map(|(mode, tried)| {
            tried
                .iter()
                .filter_map(|tried| Some(format!("{}, {}", mode.name(), tried.wrong()?)))
        })
        .collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
}

#[test]
fn every_drill_is_tried() {
    // The guard of the first is the grant that does not come, which takes a budget that is used up: see `limits`. The second is the
    // honest counterpart of others.
    let elsewhere = [Drill::JumpTheGun, Drill::FeignSuccess];
    for drill in Drill::ALL {
        let tried = ROWS.iter().any(|row| row.drill == *drill);
        assert_ne!(tried, elsewhere.contains(drill), "{drill:?}");
    }
}

#[test]
fn the_table_in_docs_has_a_row_for_each_drill() {
    let text = std::fs::read_to_string(table::PATH).unwrap();
    let told: Vec<&str> = text.lines().filter_map(table::first_cell).collect();
    let wanted: Vec<&str> = ROWS.iter().map(|row| row.what).chain(special::WHAT).collect();
    assert_eq!(
        told, wanted,
        "write it anew: ESCAPES=write cargo test --test sandbox escapes"
    );
}

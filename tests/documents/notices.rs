//! Notices: what docs/notices.md says can be told.

use lazaret::notices::{Kind, TYPE};

use super::super::{Words, rows_of};

const PAGE: &str = include_str!("../../docs/notices.md");

#[test]
fn every_kind_of_notice_is_documented_and_no_other() {
    let written = rows_of(PAGE, "| kind | when | fields |").into_iter();
    let written: Words = written.map(|(kind, _)| kind.trim_matches('`').to_owned()).collect();
    let kinds = Kind::ALL.map(|kind| kind.word().to_owned()).into_iter();
    assert_eq!(written, kinds.chain(["test".to_owned()]).collect());
    assert!(PAGE.contains(&format!("\"type\": \"{TYPE}\"")));
}

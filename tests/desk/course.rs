//! Charts of what went on, on the overview.

use super::browser::*;
use super::quarantine::with_an_entry;
use super::world::*;

#[test]
fn what_went_on_is_drawn_and_told_in_numbers() {
    let (desk, _) = with_an_entry();
    let mut vera = desk.as_user("vera");
    for (path, each) in [("/", "an hour"), ("/?span=24h", "an hour"), ("/?span=30d", "a day")] {
        let one = |name: &str| format!("<strong>{name}</strong>: 1 in all, at most 1 {each}");
        // What a tenant used is charged about once a second; how jobs ended is told every ten.
        wait_for("the job to be counted", || {
            let page = vera.get(path);
            page.body.contains(&one("jobs")) && page.body.contains(&one("quarantined"))
        });
        let page = vera.get(path);
        for part in [
            one("cpu"),
            "Jobs ended, in the fleet, by verdict".to_owned(),
            "<svg role=\"img\" viewBox=".to_owned(),
            "<rect class=\"bar\"".to_owned(),
            "<th scope=\"col\">cpu</th>".to_owned(),
        ] {
            assert!(page.body.contains(&part), "{path}: {part}: {}", page.body);
        }
        let steps = if each == "an hour" { 24 } else { 30 };
        let (_, rest) = page.body.split_once("<th scope=\"col\">cpu</th>").unwrap();
        let (rows, _) = rest.split_once("</table>").unwrap();
        assert_eq!(rows.matches("<th scope=\"row\">").count(), steps, "{path}");
        assert_eq!(rows.matches("<td>1</td>").count(), 1, "{path}");
        assert!(
            !page.body.contains("<strong>memory</strong>"),
            "{path}: no other reason"
        );
    }
}

#[test]
fn odd_spans_have_proper_answers() {
    let desk = Desk::new();
    let mut olga = desk.as_user("olga");
    olga.finds([
        ("/?span=".to_owned(), 200),
        ("/?span=1y".to_owned(), 400),
        ("/?span=%3Cscript%3E".to_owned(), 400),
        ("/?page=2".to_owned(), 400),
        (format!("/?{}=1", "a".repeat(10_000)), 400),
    ]);
}

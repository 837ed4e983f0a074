//! Where there is more than is counted for a course: it begins late, and says so.

use lazaret::ledger::{Ledger, RECORDS_COUNTED, Span, USES_COUNTED};
use lazaret::verdict::Reason;

use super::super::world::*;
use super::{SqliteWorld, execute};

/// Numbers up to one, as a table.
fn numbers(most: u32) -> String {
    format!("WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {most})")
}

#[tokio::test]
async fn convictions_before_the_newest_records_are_not_counted() {
    let world = SqliteWorld::new().await;
    let convicted = convict(&world.ledger, "x").await.changed;
    let note = async |number: u32| {
        let numbers = numbers(number);
        let sql = format!(
            "INSERT INTO audit (digest, at, who, action, why, old_state, new_state) {numbers}
            SELECT digest, at + n, 'ann', 'note', 'w', new_state, new_state FROM audit, numbers WHERE action = 'convict'"
        );
        execute(&world.path(), &sql).await.unwrap();
        world.ledger.course(Span::Month).await.unwrap()
    };
    let course = note(RECORDS_COUNTED - 2).await;
    let counted: Vec<_> = course.convictions.iter().map(|(reason, _)| *reason).collect();
    assert_eq!((counted, course.convictions_since), (vec![Reason::Memory], None));
    let course = note(2).await;
    assert!(course.convictions.is_empty(), "{course:?}");
    assert!(course.convictions_since.unwrap() > convicted, "{course:?}");
}

#[tokio::test]
async fn jobs_before_the_newest_rows_are_not_counted() {
    let world = SqliteWorld::new().await;
    let minute = convict(&world.ledger, "x").await.changed.timestamp() / 60;
    let half = USES_COUNTED / 2;
    for (tenants, minute) in [(half, minute), (half, minute - 1), (5, minute - 2)] {
        let numbers = numbers(tenants);
        let sql = format!(
            "INSERT INTO tenant_minutes (tenant, minute, jobs, cpu_ms, bytes) {numbers}
            SELECT 't' || n, {minute}, 1, 1, 1 FROM numbers"
        );
        execute(&world.path(), &sql).await.unwrap();
    }
    let course = world.ledger.course(Span::Day).await.unwrap();
    assert_eq!(course.jobs.iter().sum::<u64>(), u64::from(USES_COUNTED));
    assert_eq!(course.jobs_since.unwrap().timestamp(), minute * 60);
}

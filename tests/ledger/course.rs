//! What went on over time: jobs and convictions in their steps.

use std::time::Duration;

use lazaret::blame::Judgement;
use lazaret::ledger::{Course, DAYS_KEPT, Span, VERDICTS_KEPT};
use lazaret::quarantine::Action;
use lazaret::tenants::Use;
use lazaret::verdict::{Reason, Status};

use super::world::*;

/// How far ahead a clock is that says half past twelve, on some day soon: the steps around it are as they are meant, however long the test takes.
async fn half_past_twelve(world: &dyn World) -> Duration {
    let signed_on = world.ledger().workers().await.unwrap()[0].since;
    let of_day = Duration::from_millis(signed_on.timestamp_millis() as u64 % DAY.as_millis() as u64);
    DAY + HOUR * 25 / 2 - of_day
}

fn jobs(tenant: &str, jobs: u64) -> (String, Use) {
    let used = Use { jobs, ..Use::default() };
    (tenant.to_owned(), used)
}

/// The steps in which there was anything, and how much.
fn told(counts: &[u64]) -> Vec<(usize, u64)> {
    let counts = counts.iter().copied().enumerate();
    counts.filter(|(_, count)| *count > 0).collect()
}

fn convictions(course: &Course) -> Vec<(Reason, Vec<(usize, u64)>)> {
    let by_reason = course.convictions.iter();
    by_reason.map(|(reason, counts)| (*reason, told(counts))).collect()
}

pub async fn a_course_tells_jobs_and_convictions_step_by_step(world: &dyn World) {
    let noon = half_past_twelve(world).await;
    let at = |after: Duration| world.later(noon + after);

    let first = at(Duration::ZERO);
    first.charge(&[jobs("acme", 3), jobs("globex", 4)]).await.unwrap();
    convict(&*first, "x").await;
    let second = at(HOUR * 2);
    second.charge(&[jobs("acme", 5)]).await.unwrap();
    let cpu = || tripped(Reason::Cpu);
    assert_eq!(run(&*second, &claim("y"), cpu()).await, Judgement::Convict(Reason::Cpu));
    second.act(&digest("x"), Action::Release, &operator()).await.unwrap();
    // For another reason than the first time, which stays what it was.
    let third = at(HOUR * 3);
    assert_eq!(run(&*third, &claim("x"), cpu()).await, Judgement::Convict(Reason::Cpu));
    third.act(&digest("y"), Action::Note, &operator()).await.unwrap();

    let hours = at(HOUR * 4).course(Span::Day).await.unwrap();
    assert_eq!(told(&hours.jobs), [(19, 7), (21, 5)]);
    assert_eq!(
        convictions(&hours),
        [(Reason::Memory, vec![(19, 1)]), (Reason::Cpu, vec![(21, 1), (22, 1)])]
    );
    assert_eq!((hours.jobs_since, hours.convictions_since), (None, None));

    let days = at(DAY * 3).course(Span::Month).await.unwrap();
    assert_eq!(told(&days.jobs), [(26, 12)]);
    assert_eq!(
        convictions(&days),
        [(Reason::Memory, vec![(26, 1)]), (Reason::Cpu, vec![(26, 2)])]
    );
    assert_eq!((days.jobs_since, days.convictions_since), (None, None));

    let later = at(DAY * 2).course(Span::Day).await.unwrap();
    assert_eq!((told(&later.jobs), convictions(&later)), (Vec::new(), Vec::new()));
}

pub async fn verdicts_are_told_from_time_to_time_and_counted_by_the_hour(world: &dyn World) {
    let noon = half_past_twelve(world).await;
    let at = |after: Duration| world.later(noon + after);
    let first = at(Duration::ZERO);
    first
        .count_verdicts(&[(Status::Converted, 3), (Status::Failed, 0)])
        .await
        .unwrap();
    first.count_verdicts(&[]).await.unwrap();
    // Another worker, in the same hour and in the next one.
    let both = [(Status::Quarantined, 2), (Status::Converted, 1)];
    at(Duration::from_secs(60)).count_verdicts(&both).await.unwrap();
    at(HOUR).count_verdicts(&both).await.unwrap();

    let verdicts = |course: Course| -> Vec<_> {
        let by_status = course.verdicts.iter();
        by_status.map(|(status, counts)| (*status, told(counts))).collect()
    };
    let hours = at(HOUR * 4).course(Span::Day).await.unwrap();
    assert_eq!(
        verdicts(hours),
        [
            (Status::Converted, vec![(19, 4), (20, 1)]),
            (Status::Quarantined, vec![(19, 2), (20, 2)])
        ]
    );
    let days = at(DAY * 3).course(Span::Month).await.unwrap();
    assert_eq!(
        verdicts(days),
        [(Status::Converted, vec![(26, 5)]), (Status::Quarantined, vec![(26, 4)])]
    );
    // Two rows of each hour, which go one hour after the other.
    assert_eq!(at(VERDICTS_KEPT).tidy().await.unwrap(), 0);
    assert_eq!(at(VERDICTS_KEPT + HOUR).tidy().await.unwrap(), 2);
    assert_eq!(at(VERDICTS_KEPT + HOUR * 2).tidy().await.unwrap(), 2);
}

pub async fn the_use_of_days_is_kept_for_a_course(world: &dyn World) {
    let noon = half_past_twelve(world).await;
    world.later(noon).charge(&[jobs("acme", 3)]).await.unwrap();
    let last = world.later(noon + DAY * 29);
    last.tidy().await.unwrap();
    assert_eq!(told(&last.course(Span::Month).await.unwrap().jobs), [(0, 3)]);
    // The row of its minute is gone by now.
    assert_eq!(world.later(noon + DAYS_KEPT).tidy().await.unwrap(), 0);
    assert_eq!(world.later(noon + DAYS_KEPT + DAY).tidy().await.unwrap(), 1);
}

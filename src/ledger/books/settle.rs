//! The end of an attempt: judged by [`crate::blame`], written with everything that follows from it.

use super::charge::{self, Charge, RENEW};
use super::entries::{self, Cause};
use super::rows::{self, Run, json, word};
use crate::blame::{self, Judgement, Scope, Strike};
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Row, Session, query};
use crate::ledger::{Ending, Epoch, Settled};
use crate::quarantine::{Gate, State};
use crate::sandbox::outcome::{Outcome, Usage};
use crate::verdict::{Reason, Status};

/// Ends an attempt, unless it has ended already.
pub(super) async fn settle(session: &mut Session, ending: &Ending) -> Result<Settled, Fault> {
    let attempt = ending.attempt;
    let query = query(session.sql.run)
        .bind(attempt.id.0)
        .bind(attempt.digest.to_string())
        .bind(attempt.started_ms);
    let row: Option<Row> = query.fetch_optional(session.connection()).await?;
    let Some(run) = row.map(|row| rows::run(&row)).transpose()? else {
        return Ok(Settled::Fenced);
    };
    let earlier = counted_strikes(session, &run).await?;
    let judgement = blame::judge(&ending.outcome, &earlier, ending.control);
    match judgement {
        Judgement::Clear => {
            remember(session, &run, ending, Status::Converted).await?;
            clear(session, &run).await?;
        }
        Judgement::Remember => {
            remember(session, &run, ending, Status::Rejected).await?;
            clear(session, &run).await?;
        }
        Judgement::Strike(reason) | Judgement::Convict(reason) => {
            charge::press(session, &run, judgement, &charge_for(ending, reason)).await?;
        }
        Judgement::Retry | Judgement::SickHost => {}
    }
    end_run(session, &run, ending.outcome.word(), judgement, &ending.usage).await?;
    Ok(Settled::Judged(judgement))
}

/// The strikes that count against a run: since the digest was last let go, in the run's epoch.
pub(super) async fn counted_strikes(session: &mut Session, run: &Run) -> Result<Vec<Strike>, Fault> {
    // Letting go for lack of time forgives strikes, so the entry is brought up to date first.
    let _ = entries::current(session, &run.digest).await?;
    strikes_under(session, &run.digest, &run.epoch).await
}

/// The strikes of a digest in an epoch, since it was last let go.
pub(super) async fn strikes_under(session: &mut Session, digest: &Digest, epoch: &Epoch) -> Result<Vec<Strike>, Fault> {
    let now = session.now;
    let query = query(session.sql.strikes_that_count)
        .bind(digest.to_string())
        .bind(epoch.build.clone())
        .bind(epoch.limits.clone());
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(|row| rows::strike(row, now)).collect()
}

/// Writes how an attempt ended.
pub(super) async fn end_run(
    session: &mut Session,
    run: &Run,
    outcome: &'static str,
    judgement: Judgement,
    usage: &Usage,
) -> Result<(), Fault> {
    let struck = matches!(judgement, Judgement::Strike(_) | Judgement::Convict(_));
    let query = query(session.sql.end_run)
        .bind(run.id.0)
        .bind(outcome)
        .bind(struck)
        .bind(session.now)
        .bind(json(usage)?);
    query.execute(session.connection()).await?;
    Ok(())
}

async fn remember(session: &mut Session, run: &Run, ending: &Ending, status: Status) -> Result<(), Fault> {
    let refusal = match &ending.outcome {
        Outcome::Refused(refusal) => Some(refusal),
        _ => None,
    };
    let query = query(session.sql.remember)
        .bind(run.digest.to_string())
        .bind(run.recipe.0.clone())
        .bind(word(&status)?)
        .bind(refusal.map(|refusal| word(&refusal.reason)).transpose()?)
        .bind(refusal.map(|refusal| refusal.detail.clone()))
        .bind(run.epoch.build.clone())
        .bind(run.epoch.limits.clone())
        .bind(session.now)
        .bind(json(&ending.looks)?)
        .bind(json(&ending.renditions)?)
        .bind(json(&ending.usage)?);
    query.execute(session.connection()).await?;
    Ok(())
}

/// The child ended in order: a suspicion is cleared, and a verdict that was tried again is taken back.
async fn clear(session: &mut Session, run: &Run) -> Result<(), Fault> {
    let Some(mut entry) = entries::current(session, &run.digest).await? else {
        return Ok(());
    };
    let before = entry.state;
    let (action, why) = match before {
        State::Suspected if run.gate != Gate::Vouched => ("clear", "it ran and ended in order".to_owned()),
        State::Quarantined if run.renews_as_it_is(&entry) => {
            let Epoch { build, limits } = &run.epoch;
            (
                RENEW,
                format!("it ran and ended in order under build {build}, limits {limits}"),
            )
        }
        _ => return Ok(()),
    };
    entries::enter(&mut entry, State::Released, session.now);
    entries::save(session, &entry, Some(before), Cause::rule(action, &why)).await
}

fn charge_for(ending: &Ending, reason: Reason) -> Charge {
    Charge {
        reason,
        scope: scope(ending),
        detail: detail(&ending.outcome),
        looks: ending.looks.clone(),
        specimen: ending.specimen.clone(),
        evidence: ending.evidence.clone(),
    }
}

/// Limits and the filter tell which phase they stopped; a crash may be the late end of what decoding did, and covers the upload.
fn scope(ending: &Ending) -> Scope {
    match ending.outcome {
        Outcome::Tripped(_) | Outcome::Violation => Scope::of(ending.phase),
        _ => Scope::Upload,
    }
}

fn detail(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Tripped(trip) => trip.exceeded.to_string(),
        Outcome::Violation => "made a system call that is not on the list".to_owned(),
        Outcome::Crashed(how) => how.clone(),
        Outcome::Killed => "ended by a SIGKILL that was not ours".to_owned(),
        other => other.word().to_owned(),
    }
}

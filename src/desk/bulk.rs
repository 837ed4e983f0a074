//! One decision about many entries: those that were ticked, or all that a filter shows. It goes on in the background, entry by entry, while its page
//! tells how far it is.
//!
//! Each entry is decided as the operator saw it: one that has changed since is left alone and counted. A run is in the memory of the worker
//! that began it, and ends with it; what it has done is in the audit trail.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Serialize;

use super::form::Form;
use super::frame::moment;
use super::held::{has_words, seen};
use super::quarantine::listing;
use super::query::shortened;
use super::refusal::{Code, Refusal};
use super::visitor::Visitor;
use super::{Desk, frame, locked};
use crate::clock;
use crate::ledger::{Acted, Ledger, LedgerError, Listing, Operator, Seen};
use crate::quarantine::Action;

/// What may be decided about many at once, with its word on the page.
pub(super) const ACTIONS: [(Action, &str); 4] = [
    (Action::Confirm, "Confirm"),
    (Action::Release, "Release"),
    (Action::Allow, "Allow"),
    (Action::Note, "Note"),
];
/// Entries that are read at once where a filter says which.
const READ: u32 = 200;
/// Runs that are remembered.
const REMEMBERED: usize = 20;
/// Runs that go on at once.
const AT_ONCE: usize = 2;

/// Runs of this worker, newest last.
#[derive(Default)]
pub(super) struct Runs {
    last: u64,
    runs: VecDeque<Arc<Run>>,
}

/// One run.
pub(super) struct Run {
    number: u64,
    action: Action,
    operator: Operator,
    begun: chrono::DateTime<chrono::Utc>,
    done: AtomicU64,
    /// Changed since the operator saw them, or the action makes no sense for them.
    left: AtomicU64,
    ended: OnceLock<Result<(), String>>,
}

/// What a run is about.
pub(super) enum Chosen {
    Ticked(Vec<Seen>),
    Filtered(Box<Listing>),
}

impl Chosen {
    /// All that a filter shows, on every page.
    pub(super) fn filtered(query: &str) -> Result<Self, String> {
        let mut listing = listing(query)?;
        listing.behind = None;
        listing.most = READ;
        Ok(Self::Filtered(Box::new(listing)))
    }
}

/// How far a run is.
#[derive(Serialize)]
pub(super) struct Progress<'r> {
    pub(super) number: u64,
    decision: &'static str,
    who: &'r str,
    why: &'r str,
    begun: chrono::DateTime<chrono::Utc>,
    state: &'static str,
    done: u64,
    /// Changed since they were seen, or the decision makes no sense for them.
    left: u64,
    problem: Option<&'r str>,
}

impl Runs {
    fn begin(&mut self, action: Action, operator: Operator) -> Option<Arc<Run>> {
        let running = self.runs.iter().filter(|run| run.ended.get().is_none()).count();
        if running >= AT_ONCE {
            return None;
        }
        self.last += 1;
        let run = Arc::new(Run {
            number: self.last,
            action,
            operator,
            begun: chrono::DateTime::from(clock::system_time()),
            done: AtomicU64::new(0),
            left: AtomicU64::new(0),
            ended: OnceLock::new(),
        });
        self.runs.push_back(Arc::clone(&run));
        if self.runs.len() > REMEMBERED {
            self.runs.pop_front();
        }
        Some(run)
    }

    fn find(&self, number: u64) -> Option<Arc<Run>> {
        self.runs.iter().find(|run| run.number == number).map(Arc::clone)
    }
}

/// Begins a run.
pub(super) async fn begin(State(desk): State<Arc<Desk>>, visitor: Visitor, form: Form) -> Result<Response, Response> {
    let operator = visitor.decides(&form)?;
    let word = form.field("action");
    let action = ACTIONS.iter().find(|(action, _)| action.word() == word);
    let (action, _) = *action.ok_or_else(|| Refusal::bad("Choose what is to be done."))?;
    let chosen = chosen(&form).map_err(Refusal::bad)?;
    let run = started(&desk, action, operator, chosen)?;
    Ok(Redirect::to(&format!("/bulk/{}", run.number)).into_response())
}

/// Begins to decide about those that are chosen, in the background.
pub(super) fn started(desk: &Desk, action: Action, operator: Operator, chosen: Chosen) -> Result<Arc<Run>, Refusal> {
    has_words(action, &operator)?;
    let ledger = desk.work()?.ledger;
    let who = operator.who.clone();
    let run = runs(desk).begin(action, operator).ok_or_else(|| {
        let words = "Other decisions about many entries are going on. Wait until they have ended.";
        Refusal::new(Code::Busy, words)
    })?;
    let (number, goes) = (run.number, Arc::clone(&run));
    tracing::info!(
        who,
        action = action.word(),
        number,
        "decides about many entries at the desk"
    );
    desk.runtime.spawn(async move {
        let ended = goes.go(&*ledger, chosen).await.map_err(|error| error.to_string());
        tracing::info!(number, done = goes.done(), left = goes.left(), problem = ?ended.as_ref().err(), "has decided about many entries");
        // Nobody else sets it.
        let _ = goes.ended.set(ended);
    });
    Ok(run)
}

/// A run of this worker's, by its number.
pub(super) fn found(desk: &Desk, number: &str) -> Result<Arc<Run>, Refusal> {
    let run = number.parse().ok().and_then(|number| runs(desk).find(number));
    run.ok_or_else(|| {
        let words = "This worker does not know of such a decision. What was done is in the audit trail.";
        Refusal::new(Code::NotFound, words)
    })
}

/// How far a run is.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Response, Response> {
    let run = found(&desk, &number)?;
    let title = format!("Decision {}", run.number);
    Ok(frame::page(&visitor, "/quarantine", &title, &run.shown()))
}

fn runs(desk: &Desk) -> MutexGuard<'_, Runs> {
    let runs: &Mutex<Runs> = &desk.runs;
    locked(runs)
}

/// What a form is about: ticked entries, each with its mark, or all of a filter.
fn chosen(form: &Form) -> Result<Chosen, String> {
    if form.field("which") == "all" {
        return Chosen::filtered(form.field("filter"));
    }
    let read = |text: &str| {
        let (digest, mark) = text.split_once('.')?;
        seen(digest.parse().ok()?, mark)
    };
    let ticked: Option<Vec<Seen>> = form.all("entry").map(read).collect();
    match ticked {
        None => Err(format!("{} is no entry of a list", shortened(form.field("entry")))),
        Some(ticked) if ticked.is_empty() => {
            Err("Tick the entries that are meant, or choose all of the filter.".to_owned())
        }
        Some(ticked) => Ok(Chosen::Ticked(ticked)),
    }
}

impl Run {
    async fn go(&self, ledger: &dyn Ledger, chosen: Chosen) -> Result<(), LedgerError> {
        match chosen {
            Chosen::Ticked(ticked) => self.decide(ledger, &ticked).await,
            Chosen::Filtered(mut listing) => {
                // What is decided becomes the newest change: it is not to be found again.
                listing.until = Some(listing.until.map_or(self.begun, |until| until.min(self.begun)));
                loop {
                    let page = ledger.page(&listing).await?;
                    let found: Vec<Seen> = page.entries.iter().map(Seen::of).collect();
                    self.decide(ledger, &found).await?;
                    listing.behind = page.next;
                    if page.next.is_none() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn decide(&self, ledger: &dyn Ledger, entries: &[Seen]) -> Result<(), LedgerError> {
        for seen in entries {
            let count = match ledger.act_on(seen, self.action, &self.operator).await {
                Ok(Acted::Done(_)) => &self.done,
                Ok(Acted::TooLate(_)) | Err(LedgerError::WrongState { .. } | LedgerError::NoEntry(_)) => &self.left,
                Err(error) => return Err(error),
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How far it is, for programs.
    pub(super) fn told(&self) -> Progress<'_> {
        let (state, problem) = match self.ended.get() {
            None => ("running", None),
            Some(Ok(())) => ("ended", None),
            Some(Err(problem)) => ("stopped", Some(problem.as_str())),
        };
        Progress {
            number: self.number,
            decision: self.action.word(),
            who: &self.operator.who,
            why: &self.operator.why,
            begun: self.begun,
            state,
            done: self.done(),
            left: self.left(),
            problem,
        }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    fn shown(&self) -> Markup {
        html! {
            p role="status" {
                @match self.ended.get() {
                    None => "It goes on. Load this page again to see how far it is.",
                    Some(Ok(())) => strong .well { "It has ended." },
                    Some(Err(problem)) => strong .wrong { "It has stopped: " (problem) },
                }
            }
            table {
                tbody {
                    tr { th scope="row" { "decision" } td { (self.action.word()) } }
                    tr { th scope="row" { "by" } td { bdi { (self.operator.who) } } }
                    tr { th scope="row" { "why" } td { bdi { (self.operator.why) } } }
                    tr { th scope="row" { "begun" } td { (moment(self.begun)) } }
                    tr { th scope="row" { "entries decided" } td { (self.done()) } }
                    tr { th scope="row" { "left alone" } td { (self.left()) ", for they had changed, or it makes no sense for them" } }
                }
            }
            p { a href={ "/bulk/" (self.number) } { "Load again" } " · " a href="/quarantine" { "To the list" } }
        }
    }
}

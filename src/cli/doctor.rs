//! `lazaret doctor`: the proof that this host's sandbox holds.

use clap::Args;

use super::place::{PlaceArguments, sandbox};
use super::{Ending, Failure, show};
use crate::sandbox::doctor::{self, Check, Finding};

/// Prove every layer and limit of the sandbox on this host.
///
/// Trips each limit and tries each layer with a drill, and converts control images. Exits with 1 where a required guard does not
/// hold; `serve` takes no work then.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    place: PlaceArguments,
    /// Print one JSON object per check.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = self.place.config()?;
        let examination = doctor::examine(&sandbox(&config, None)?)
            .await
            .map_err(Failure::other)?;
        if self.json {
            for check in &examination.checks {
                show::line(&serde_json::json!(check))?;
            }
        } else {
            print_table(&examination.checks)?;
        }
        Ok(if examination.failure().is_some() {
            Ending::NotAll
        } else {
            Ending::Well
        })
    }
}

fn print_table(checks: &[Check]) -> Result<(), Failure> {
    let mut table = show::table(&["guard", "required", "held", "evidence"]);
    for check in checks {
        let held = match check.finding {
            Finding::Held => "yes",
            Finding::NotHeld => "NO",
            Finding::Off => "off",
            Finding::NotApplicable => "–",
        };
        let required = if check.required { "yes" } else { "no" };
        table.add_row([
            check.guard.as_str(),
            required,
            held,
            &show::harmless(&check.evidence, 90),
        ]);
    }
    show::print(&table)?;
    for check in checks.iter().filter(|check| check.finding != Finding::Held) {
        if let Some(remedy) = &check.remedy {
            show::line(&format_args!(
                "
{}: {remedy}",
                check.guard
            ))?;
        }
    }
    Ok(())
}

//! Who does it, and why: what every action of an operator leaves in an audit trail.

use clap::Args;

use crate::ledger::Operator;

/// Who, and why.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// Who, for the audit trail [default: the user's name].
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator", hide_env = true)]
    who: String,
}

impl Why {
    pub(super) fn operator(self) -> Operator {
        Operator {
            who: self.who,
            why: self.why,
        }
    }
}

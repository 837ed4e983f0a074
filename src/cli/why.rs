//! Who does it, and why: what every action of an operator leaves in an audit trail.

use clap::Args;

use super::Failure;
use crate::ledger::Operator;

/// Who, and why.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// Who, for the audit trail [default: the user's name]. A server says itself whose token it is.
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
}

impl Why {
    /// As it is written into a ledger.
    pub(super) fn operator(self) -> Operator {
        let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
        Operator {
            who: self.who.or_else(user).unwrap_or_else(|| "operator".to_owned()),
            why: self.why,
        }
    }

    /// As it is sent to a server, which writes down whose token it is.
    pub(super) fn by_token(self) -> Result<Operator, Failure> {
        match self.who {
            None => Ok(Operator {
                who: String::new(),
                why: self.why,
            }),
            Some(_) => Err(Failure::Usage(
                "--who is for a ledger; a server writes down whose token it is".to_owned(),
            )),
        }
    }
}

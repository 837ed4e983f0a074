//! Tokens, with which programs come to the desk's API: whose each is, until when, and what its text hashes to. The text is kept nowhere.
//!
//! Tokens are in the ledger, unlike accounts: one is given and revoked once for the fleet, and whoever comes with it asks for what is in the ledger
//! anyhow. A row stays when its token is over, so that the trail can be read, and a name is never another token's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::desk::Role;
use crate::digest::Digest;

/// Most tokens that are listed.
pub const TOKENS: u32 = 1000;

/// A token that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its name, as audit trails will have it.
    pub name: String,
    /// The SHA-256 of its text.
    pub hash: Digest,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub made_by: String,
    /// How long it is good for; none: until it is revoked.
    pub lasts: Option<Duration>,
}

/// A token as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it opens anything.
    pub standing: TokenStanding,
    /// When it was made.
    pub made: DateTime<Utc>,
    /// By whom.
    pub made_by: String,
    /// Until when it is good.
    pub expires: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked: Option<DateTime<Utc>>,
    /// By whom.
    pub revoked_by: Option<String>,
}

/// Whether a token opens anything, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenStanding {
    /// It does.
    Good,
    /// Its time is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
}

impl TokenStanding {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What became of a new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TokenMade {
    /// It is good from now on.
    Made,
    /// There is, or was, one of that name.
    NameTaken,
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TokenRevoked {
    /// It opens nothing from now on.
    Now,
    /// It was revoked before: nothing was written.
    Before,
    /// There is no token of that name.
    Unknown,
}

//! Every reader of untrusted bytes in Lazaret, as a [`Target`] that takes any bytes: it must come back, without a panic, and what it
//! accepts must keep the promises of its type.
//!
//! Two runs use them. `cargo test -p lazaret-fuzz` gives each target the stored corpus and a fixed number of changes to it, the same
//! every time. `make fuzz MINUTES=n` has libFuzzer look for new ways through the code. What either finds becomes a fixture.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken promise is told by a panic")]

pub mod corpus;
pub mod mutate;
mod preflight;
mod rows;
mod words;

use lazaret::format::Format;

/// A reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A job's message.
    Job,
    /// A packet of a child.
    Packet,
    /// A configuration file.
    Config,
    /// Headers that came with a message.
    Headers,
    /// Rows of the ledger that somebody edited.
    Rows,
    /// The headers of an upload of this format, and what they declare.
    Preflight(Format),
    /// An upload of this format, whole: what was declared against what decoding shows.
    Decode(Format),
}

impl Target {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Job, Self::Packet, Self::Config, Self::Headers, Self::Rows];
        all.extend(Format::ALL.map(Self::Preflight));
        // Drawings take what time they like, and AVIF's decoder ends its process where it gives up: both are for the sandbox.
        let here = |format: &Format| !matches!(format, Format::Svg | Format::Avif);
        all.extend(Format::ALL.into_iter().filter(here).map(Self::Decode));
        all
    }

    /// Its name, as the long run and folders of the corpus have it.
    pub fn name(self) -> String {
        match self {
            Self::Job => "job".to_owned(),
            Self::Packet => "packet".to_owned(),
            Self::Config => "config".to_owned(),
            Self::Headers => "headers".to_owned(),
            Self::Rows => "rows".to_owned(),
            Self::Preflight(format) => format!("preflight-{}", format.name()),
            Self::Decode(format) => format!("decode-{}", format.name()),
        }
    }

    /// Gives it these bytes. False where they are nothing for this target, and need not be kept.
    ///
    /// # Panics
    /// Where a promise is broken.
    pub fn take(self, bytes: &[u8]) -> bool {
        match self {
            Self::Job => words::job(bytes),
            Self::Packet => words::packet(bytes),
            Self::Config => words::config(bytes),
            Self::Headers => words::headers(bytes),
            Self::Rows => rows::edited(bytes),
            Self::Preflight(format) => preflight::inspect(format, bytes),
            Self::Decode(format) => preflight::decode(format, bytes),
        }
    }
}

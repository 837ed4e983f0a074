//! What supervisor and child say to each other: one vocabulary per direction, so that they cannot be swapped.
//!
//! The control socket is a `SOCK_SEQPACKET` pair: a message is one packet, whole or not at all. Messages are JSON objects;
//! the one exception is the [`MemoryRecord`], 40 fixed bytes, written by the allocator at a moment when nothing can be
//! allocated. The supervisor treats every byte from the child as hostile: what does not parse is [`FromChild::Malformed`].

use serde::{Deserialize, Serialize};

use crate::format::Format;
use crate::info::Info;
use crate::recipe::{Preview, Recipe};
use crate::sandbox::drill::Drill;
use crate::sandbox::layers::{LayerReport, Policy};
use crate::sandbox::limits::{Grant, Limits};
use crate::verdict::{Notes, Refusal, is_still, still};

/// Longest message of a child, in bytes. The longest honest one, DONE with 16 renditions, is under 2 KiB.
pub const MAX_FROM_CHILD: usize = 8 * 1024;
/// Longest message to a child, in bytes: an order with 16 renditions is under 12 KiB.
pub const MAX_TO_CHILD: usize = 32 * 1024;

/// Supervisor → child. Trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ToChild {
    /// The first message, waiting in the socket before the child starts.
    Order(Box<Order>),
    /// The second: go.
    Grant(Grant),
}

/// What a child is started for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The layers to put up before anything else.
    pub policy: Policy,
    /// Limits: the kernel's ceilings, and what the preflight counts against.
    pub limits: Limits,
    /// What to do behind them.
    pub task: Task,
}

/// What a child does once it is locked down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Task {
    /// Convert the upload.
    Convert(Recipe),
    /// Misbehave in one way, to prove that the sandbox holds.
    Drill(Drill),
}

/// Child → supervisor. Untrusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum FromChild {
    /// Every required layer holds; nothing of the upload has been read.
    Ready(Vec<LayerReport>),
    /// A required layer does not hold: the layer's name, and why.
    Unready(String),
    /// What the headers promise; waits for a grant.
    Declared(Declaration),
    /// Now in this phase.
    Phase(Phase),
    /// The upload is not acceptable.
    Refused(Refusal),
    /// What was asked for beside renditions; said before DONE, where it was.
    Found(Found),
    /// Renditions are written, in the order of the recipe.
    Done(Vec<Made>),
    /// It panicked, with this message.
    Panicked(String),
    /// A drill did what a sandbox should have stopped.
    Escaped(String),
    /// A drill was stopped with an error, not with a signal.
    Held(String),
}

/// One packet of a child, as the supervisor reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// A message of the vocabulary.
    Message(FromChild),
    /// The allocator's record.
    Memory(MemoryRecord),
    /// Anything else, with what is wrong with it.
    Malformed(String),
}

impl Packet {
    /// Reads one packet. Never fails: what makes no sense is [`Packet::Malformed`].
    pub fn read(bytes: &[u8]) -> Self {
        if let Some(record) = MemoryRecord::read(bytes) {
            return Self::Memory(record);
        }
        if bytes.len() > MAX_FROM_CHILD {
            return Self::Malformed(format!("packet of more than {MAX_FROM_CHILD} bytes"));
        }
        match serde_json::from_slice(bytes) {
            Ok(message) => Self::Message(message),
            Err(error) => Self::Malformed(format!("{} bytes: {error}", bytes.len())),
        }
    }
}

/// What the allocator writes when it refuses: it can allocate nothing, so this is 40 bytes of a fixed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRecord {
    /// Bytes of the allocation that was refused.
    pub requested: u64,
    /// Bytes in use at that moment.
    pub in_use: u64,
    /// Bytes allowed.
    pub allowed: u64,
}

impl MemoryRecord {
    /// Length of a record.
    pub const BYTES: usize = 40;
    const MAGIC: [u8; 16] = *b"\0lazaret-memory\0";

    /// The record's bytes; allocates nothing.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&Self::MAGIC);
        bytes[16..24].copy_from_slice(&self.requested.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.in_use.to_le_bytes());
        bytes[32..].copy_from_slice(&self.allowed.to_le_bytes());
        bytes
    }

    /// Reads a record; `None` where the bytes are something else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<16>()?;
        let (requested, rest) = rest.split_first_chunk::<8>()?;
        let (in_use, rest) = rest.split_first_chunk::<8>()?;
        let (allowed, rest) = rest.split_first_chunk::<8>()?;
        (*magic == Self::MAGIC && rest.is_empty()).then(|| Self {
            requested: u64::from_le_bytes(*requested),
            in_use: u64::from_le_bytes(*in_use),
            allowed: u64::from_le_bytes(*allowed),
        })
    }
}

/// How far a child got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reading headers.
    Preflight,
    /// Decoding pixels.
    Decode,
    /// Resizing and turning.
    Transform,
    /// Encoding renditions.
    Encode,
}

impl Phase {
    /// Its word, as in evidence and traces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Decode => "decode",
            Self::Transform => "transform",
            Self::Encode => "encode",
        }
    }
}

/// What the headers of an upload promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// Format by magic bytes.
    pub format: Format,
    /// Width as displayed (after EXIF orientation), in pixels.
    pub width: u32,
    /// Height as displayed, in pixels.
    pub height: u32,
    /// Frames of an animation, pages of a TIFF; 1 for a still.
    pub frames: u64,
    /// Channels of its pixels: 1, 3, or 4 with transparency.
    pub channels: u8,
    /// Estimated peak heap of the whole conversion, in bytes: an upper bound that an honest file keeps.
    pub memory_bytes: u64,
    /// Work of decoding, in pixels of a JPEG, where it is more than its format and size say; else 0.
    pub decode_work: u64,
}

/// One rendition, as the child claims to have written it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Format it was encoded to.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes written; renditions follow each other in the output without gaps.
    pub bytes: u64,
    /// The quality it was encoded with, 1 to 100; none without loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// Frames written; 1 for a still.
    #[serde(default = "still", skip_serializing_if = "is_still")]
    pub frames: u64,
    /// What was done about an odd upload without refusing it.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
}

/// What a recipe asks for beside renditions: of fixed shapes and bounded lengths, for it is told to others as it comes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The placeholder.
    pub placeholder: Option<Preview>,
    /// Facts from the headers.
    pub info: Option<Info>,
    /// What was done about an odd upload without refusing it, where a placeholder was made of it.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
}

impl Found {
    /// Whether this is what the recipe asks for, and nothing else.
    pub fn answers(&self, recipe: &Recipe) -> bool {
        let placeholder = match (recipe.placeholder(), &self.placeholder) {
            (Some(kind), Some(preview)) => kind.admits(preview),
            (kind, preview) => kind.is_none() && preview.is_none(),
        };
        placeholder && recipe.info() == self.info.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_truncated_message_is_malformed() {
        let whole = serde_json::to_vec(&FromChild::Phase(Phase::Decode)).unwrap();
        assert_eq!(Packet::read(&whole), Packet::Message(FromChild::Phase(Phase::Decode)));
        for cut in 0..whole.len() {
            assert!(
                matches!(Packet::read(&whole[..cut]), Packet::Malformed(_)),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn unknown_words_and_wrong_types_are_malformed() {
        for text in [
            r#"{"done":{}}"#,
            r#"{"sudo":1}"#,
            r#"{"phase":"party"}"#,
            r#"{"ready":[1]}"#,
            r#"{"found":{"placeholder":"<script>","info":null}}"#,
            r#"{"found":{"placeholder":null,"info":{"alpha":true,"colour":"rgb","captured":"yesterday"}}}"#,
            r#"{"found":{"placeholder":null,"info":{"alpha":true,"colour":"rgb","captured":null,"owner":"x"}}}"#,
            "[]",
            "null",
            "{}",
        ] {
            assert!(matches!(Packet::read(text.as_bytes()), Packet::Malformed(_)), "{text}");
        }
    }

    #[test]
    fn a_packet_over_the_length_is_malformed() {
        let long = serde_json::to_vec(&FromChild::Unready("x".repeat(MAX_FROM_CHILD))).unwrap();
        assert!(matches!(Packet::read(&long), Packet::Malformed(_)));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            let _ = Packet::read(&bytes);
        }

        #[test]
        fn records_survive_the_wire(requested: u64, in_use: u64, allowed: u64) {
            let record = MemoryRecord { requested, in_use, allowed };
            prop_assert_eq!(Packet::read(&record.to_bytes()), Packet::Memory(record));
        }
    }
}

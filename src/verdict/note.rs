//! Notes: what a conversion did about an odd upload without refusing it. A closed vocabulary, so that programs can act on it. `[pure]`
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// One thing worth telling of an upload that was converted all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// The embedded colour profile makes no sense; the pixels were taken for sRGB.
    BrokenProfile,
    /// The embedded colour profile is larger than what is read; the pixels were taken for sRGB.
    OversizedProfile,
    /// The embedded colour profile is for other channels than the picture has; the pixels were taken for sRGB.
    MismatchedProfile,
    /// The embedded colours are of a kind that is not converted (HDR, device links); the pixels were taken for sRGB.
    UnsupportedProfile,
    /// The upload ends early, and the job tolerates that; what is missing is grey, black or transparent.
    Truncated,
}

impl Note {
    const ALL: [Self; 5] = [
        Self::BrokenProfile,
        Self::OversizedProfile,
        Self::MismatchedProfile,
        Self::UnsupportedProfile,
        Self::Truncated,
    ];

    /// Its word, as in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::BrokenProfile => "broken-profile",
            Self::OversizedProfile => "oversized-profile",
            Self::MismatchedProfile => "mismatched-profile",
            Self::UnsupportedProfile => "unsupported-profile",
            Self::Truncated => "truncated",
        }
    }
}

/// A set of notes; a list of words when written, in the order of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Note>", into = "Vec<Note>")]
pub struct Notes(u8);

impl Notes {
    /// No note.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, note: Note) -> Self {
        Self(self.0 | 1 << note as u8)
    }

    /// All of both.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl std::fmt::Display for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = Vec::from(*self).into_iter().map(Note::word).collect();
        f.write_str(&words.join(", "))
    }
}

impl From<Vec<Note>> for Notes {
    fn from(notes: Vec<Note>) -> Self {
        notes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Notes> for Vec<Note> {
    fn from(notes: Notes) -> Self {
        let set = |note: &Note| notes.0 & 1 << *note as u8 != 0;
        Note::ALL.into_iter().filter(set).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_a_set_that_reads_as_a_list() {
        let notes = Notes::NONE.with(Note::Truncated).with(Note::BrokenProfile);
        let text = serde_json::to_string(&notes.and(notes)).unwrap();
        assert_eq!(text, r#"["broken-profile","truncated"]"#);
        assert_eq!(serde_json::from_str::<Notes>(&text).unwrap(), notes);
        assert!(serde_json::from_str::<Notes>(r#"["sudo"]"#).is_err());
        for note in Note::ALL {
            assert_eq!(Vec::from(Notes::NONE.with(note)), [note]);
            assert_eq!(serde_json::to_value(note).unwrap(), note.word());
        }
    }
}

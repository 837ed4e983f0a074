//! How much loss a lossy format may have. `[pure]`
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use crate::format::Format;

/// Lowest quality that is looked at where the quality is found and not given: what is below is no picture any more.
pub const LOWEST: u8 = 10;

/// Bounds of the qualities among which `auto` chooses; within two of them it does not try. AVIF stays below the one from which it keeps the colours of every pixel, which
/// doubles its time.
pub fn auto(format: Format) -> (u8, u8) {
    match format {
        Format::Avif => (40, FULL_CHROMA - 1),
        _ => (40, 95),
    }
}

/// Quality from which JPEG and AVIF keep the colours of every pixel, unless the recipe says.
pub const FULL_CHROMA: u8 = 90;

/// Quality of a lossy format: a number of 1 to 100, or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Quality {
    /// As the encoder counts it.
    Fixed(u8),
    /// The lowest at which this picture still looks as it should.
    Auto,
}

impl Quality {
    /// The highest number that it can come to.
    pub fn most(self, format: Format) -> u8 {
        match (self, format) {
            (Self::Fixed(number), _) => number,
            (Self::Auto, Format::Avif) => auto(format).1,
            (Self::Auto, _) => 100,
        }
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self::Fixed(80)
    }
}

/// A quality as it stands in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of 1 to 100, or \"auto\"")]
enum Written {
    Number(u8),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Auto,
}

impl From<Written> for Quality {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(number) => Self::Fixed(number),
            Written::Word(Word::Auto) => Self::Auto,
        }
    }
}

impl From<Quality> for Written {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Fixed(number) => Self::Number(number),
            Quality::Auto => Self::Word(Word::Auto),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_word() {
        for (text, quality) in [("80", Quality::Fixed(80)), ("\"auto\"", Quality::Auto)] {
            assert_eq!(serde_json::from_str::<Quality>(text).unwrap(), quality);
            assert_eq!(serde_json::to_string(&quality).unwrap(), text);
        }
        for text in ["\"best\"", "-1", "300", "1.5", "null"] {
            let error = serde_json::from_str::<Quality>(text).unwrap_err().to_string();
            assert!(error.contains("\"auto\""), "{text}: {error}");
        }
    }
}

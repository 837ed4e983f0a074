//! What a page shows while a picture loads, as a text of a few bytes. `[pure]`
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::Colour;

/// A kind of placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placeholder {
    /// A BlurHash (blurha.sh): 4 × 3 components, 3 × 4 of a picture that is taller than wide.
    Blurhash,
    /// A ThumbHash (evanw.github.io/thumbhash), in base64: keeps proportions and transparency.
    Thumbhash,
    /// The most frequent colour, `#rrggbb`.
    Dominant,
}

/// A placeholder as it is told: 1 to [`Preview::LONGEST`] characters without blanks, quotes, backslashes, angle brackets and ampersands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Preview(String);

impl Preview {
    /// Most characters.
    pub const LONGEST: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Placeholder {
    /// Whether a text is such a placeholder, as far as its form tells.
    pub fn admits(self, preview: &Preview) -> bool {
        let text = preview.as_str();
        match self {
            Self::Blurhash => text.len() == 28 && text.bytes().all(is_base_83),
            Self::Thumbhash => {
                let digits = text.trim_end_matches('=');
                let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
                (8..=36).contains(&text.len()) && text.len().is_multiple_of(4) && digits.bytes().all(legal)
            }
            Self::Dominant => text.len() == 7 && Colour::try_from(text.to_owned()).is_ok(),
        }
    }
}

/// The alphabet of BlurHash.
fn is_base_83(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#$%*+,-.:;=?@[]^_{|}~".contains(&byte)
}

impl TryFrom<String> for Preview {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let legal = |byte: u8| is_base_83(byte) || byte == b'/';
        match (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(legal) {
            true => Ok(Self(text)),
            false => Err("not a placeholder"),
        }
    }
}

impl From<Preview> for String {
    fn from(preview: Preview) -> Self {
        preview.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_form() {
        let kinds = [Placeholder::Blurhash, Placeholder::Thumbhash, Placeholder::Dominant];
        for (text, kind) in [
            ("LEHV6nWB2yk8pyo0adR*.7kCMdnj", Placeholder::Blurhash),
            ("3OcRJYB4d3h/iIeHeEh3eIhw+j2w", Placeholder::Thumbhash),
            ("1QcSHQRnh493V4dIh4eXh1h4kJUI", Placeholder::Thumbhash),
            ("#0a141e", Placeholder::Dominant),
        ] {
            let preview = Preview::try_from(text.to_owned()).unwrap();
            assert!(kind.admits(&preview), "{text}");
            // A thumbhash may have the letters of a blurhash, and nothing else is taken for another kind.
            let others = kinds
                .into_iter()
                .filter(|other| *other != kind && kind != Placeholder::Thumbhash);
            others.for_each(|other| assert!(!other.admits(&preview), "{text} as {other:?}"));
        }
    }

    #[test]
    fn no_text_that_a_page_could_stumble_over_gets_through() {
        for text in ["", "a b", "<b>", "\"", "'", "\\", "&amp;", "ü", "a\n", &"x".repeat(65)] {
            assert!(Preview::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}

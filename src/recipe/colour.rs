//! Colours as web developers write them. `[pure]`
#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Serialize};

/// A colour in sRGB with its opacity: red, green, blue, alpha. Written `#rrggbb`, `#rrggbbaa` or `transparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour(pub [u8; 4]);

impl Colour {
    /// An opaque colour.
    pub const fn opaque([r, g, b]: [u8; 3]) -> Self {
        Self([r, g, b, 255])
    }

    /// Whether nothing shows through.
    pub fn is_opaque(self) -> bool {
        self.0[3] == 255
    }

    /// What is seen of it where no transparency is kept: the colour on white.
    pub fn on_white(self) -> [u8; 3] {
        let [r, g, b, alpha] = self.0.map(u32::from);
        [r, g, b].map(|over| ((over * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
    }
}

impl Default for Colour {
    fn default() -> Self {
        Self([255; 4])
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b, alpha] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")?;
        if self.is_opaque() {
            Ok(())
        } else {
            write!(f, "{alpha:02x}")
        }
    }
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "transparent" {
            return Ok(Self([0; 4]));
        }
        let wrong = || {
            let shown: String = text.chars().take(80).collect();
            format!("{shown:?} is not a colour like #ffffff, #ffffff80 or transparent")
        };
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        if !matches!(digits.len(), 6 | 8) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
        match digits.len() {
            6 => Ok(Self((value << 8 | 255).to_be_bytes())),
            _ => Ok(Self(value.to_be_bytes())),
        }
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Colour, String> {
        Colour::try_from(text.to_owned())
    }

    #[test]
    fn colours_are_read_and_written_in_one_form() {
        for (text, colour, written) in [
            ("#0a141e", Colour::opaque([10, 20, 30]), "#0a141e"),
            ("#0A141Eff", Colour::opaque([10, 20, 30]), "#0a141e"),
            ("#0a141e80", Colour([10, 20, 30, 128]), "#0a141e80"),
            ("transparent", Colour([0; 4]), "#00000000"),
        ] {
            assert_eq!(read(text).unwrap(), colour);
            assert_eq!(colour.to_string(), written);
            assert_eq!(read(written).unwrap(), colour);
        }
    }

    #[test]
    fn what_is_no_colour_is_shown() {
        for text in ["", "#fff", "#ffffff8", "ffffff", "#gggggg", "#+fffff", "red"] {
            assert!(read(text).unwrap_err().contains(text), "{text}");
        }
    }

    #[test]
    fn a_colour_that_lets_through_lies_on_white() {
        assert_eq!(Colour([0, 0, 0, 0]).on_white(), [255; 3]);
        assert_eq!(Colour([0, 100, 255, 255]).on_white(), [0, 100, 255]);
        assert_eq!(Colour([0, 0, 255, 128]).on_white(), [127, 127, 255]);
    }
}

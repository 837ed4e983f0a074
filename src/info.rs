//! What a job is told of its upload where it asks for `info`: facts from headers, each of a fixed shape. `[pure]`
//!
//! They come from the child, and a child is not believed: there is no field in which a text of the upload's could reach a web app.
#![forbid(unsafe_code)]

use std::fmt;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

/// What headers say of a picture, beside its format, size and frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Info {
    /// Whether it can have transparent pixels.
    pub alpha: bool,
    /// Its colours, as stored.
    pub colour: ColourModel,
    /// When it was taken.
    pub captured: Option<Captured>,
}

/// Colours as a file stores them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourModel {
    /// Brightness alone.
    Grey,
    /// Red, green and blue, or what stands for them: luma and chroma, a palette.
    Rgb,
    /// Four inks.
    Cmyk,
}

/// A day and a time on the camera's clock, whose zone is not known: `2026-11-21T08:15:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Captured(NaiveDateTime);

impl Captured {
    const FORM: &str = "%Y-%m-%dT%H:%M:%S";

    /// Reads EXIF's form, `2026:11:21 08:15:30`; `None` where that is no time, as with cameras whose clock was never set.
    pub fn from_exif(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text.get(..19)?).ok()?;
        let (day, time) = text.split_once(' ')?;
        Self::try_from(format!("{}T{time}", day.replace(':', "-"))).ok()
    }
}

impl TryFrom<String> for Captured {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let shape = text.len() == 19 && text.bytes().all(|byte| byte.is_ascii_digit() || b"-T:".contains(&byte));
        // A time that does not read back as it was written had signs, or digits missing.
        let time = NaiveDateTime::parse_from_str(&text, Self::FORM).map(Self);
        match time {
            Ok(time) if shape && time.to_string() == text => Ok(time),
            _ => Err("not a time like 2026-11-21T08:15:30"),
        }
    }
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format(Self::FORM))
    }
}

impl From<Captured> for String {
    fn from(captured: Captured) -> Self {
        captured.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_cameras_are_read() {
        let read = |text: &str| Captured::from_exif(text.as_bytes()).map(String::from);
        assert_eq!(read("2026:11:21 08:15:30\0").as_deref(), Some("2026-11-21T08:15:30"));
        for none in [
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "2026:02:30 00:00:00",
            "2026:11:21",
            "2026-11-21T08:15:30",
            "+026:11:21 08:15:30",
            "<script>alert(1)</script>",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_for_a_time_has_its_shape(text in "[-+0-9T: .Z]{17,21}", bytes: Vec<u8>) {
            if let Ok(time) = Captured::try_from(text.clone()) {
                prop_assert_eq!((String::from(time), text.len()), (text, 19));
            }
            let _ = Captured::from_exif(&bytes);
        }
    }
}

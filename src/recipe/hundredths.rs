//! Numbers with two decimals, kept exactly: two recipes that look alike have one key. `[pure]`
#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that is not negative, in hundredths: 0.8 is 80. More decimals are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Hundredths(pub u32);

impl Hundredths {
    /// The number itself.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<f64> for Hundredths {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        if !(0.0..=1e6).contains(&number) {
            return Err(format!("{number} is negative, or far too large"));
        }
        Ok(Self((number * 100.0).round() as u32))
    }
}

impl From<Hundredths> for f64 {
    fn from(hundredths: Hundredths) -> Self {
        hundredths.value()
    }
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_wire() {
        for (text, hundredths, written) in [
            ("1", 100, "1.0"),
            ("0.8", 80, "0.8"),
            ("0.29", 29, "0.29"),
            ("0.126", 13, "0.13"),
        ] {
            let read: Hundredths = serde_json::from_str(text).unwrap();
            assert_eq!(read, Hundredths(hundredths));
            assert_eq!(serde_json::to_string(&read).unwrap(), written);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["-0.1", "1e9", "\"1\""] {
            assert!(serde_json::from_str::<Hundredths>(text).is_err(), "{text}");
        }
        assert!(Hundredths::try_from(f64::NAN).is_err());
    }
}

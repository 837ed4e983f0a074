//! Random texts that open doors: cookies, form secrets, made passwords. Compared in constant time, kept as digests.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::digest::Digest;

/// 256 random bits, as 43 characters that need no escaping anywhere. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// A system without randomness.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, for the one it is for.
    pub fn shown(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// Whether a text is this one. Takes as long where it is not.
    pub fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

/// What every token of the API begins with: whoever looks for secrets that leaked finds it by that.
pub(crate) const TOKEN: &str = "lzt_";

/// The text of a new token.
///
/// # Errors
/// A system without randomness.
pub fn bearer_token() -> Result<String, getrandom::Error> {
    Ok(format!("{TOKEN}{}", Secret::new()?.shown()))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_not_shown_by_accident() {
        let [one, other] = [Secret::new().unwrap(), Secret::new().unwrap()];
        assert!(one.is(one.shown()) && !one.is(other.shown()) && !one.is("") && !one.is(&one.shown()[1..]));
        assert_eq!((one.shown().len(), format!("{one:?}").as_str()), (43, "Secret(…)"));
    }
}

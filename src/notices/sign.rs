//! Signatures, as Standard Webhooks has them: HMAC-SHA256 over id, time and body. `[pure]`
//!
//! Receivers verify them with any of its libraries. Two secrets give two signatures: a receiver that knows one of them is content, so that secrets
//! can be changed one side after the other. No `Debug` shows any of a key.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret begins with; it may be left out.
const PREFIX: &str = "whsec_";
/// Bytes of a key, as Standard Webhooks recommends them.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most secrets at once: the old one and the new one.
const MOST: usize = 2;
/// What is no secret, and how one is made.
const HINT: &str = "holds no signing secret: that is whsec_ and 24 to 64 random bytes in base64, one on a line, at most two; \
                    `(printf whsec_; openssl rand -base64 32) > FILE` makes one";

/// Reads base64 with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys that deliveries are signed with.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys(Vec<Vec<u8>>);

impl Keys {
    /// Reads one secret a line; the error goes on after where they were, and shows none of them.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let keys: Option<Vec<_>> = lines.map(key).collect();
        match keys {
            Some(keys) if (1..=MOST).contains(&keys.len()) => Ok(Self(keys)),
            _ => Err(HINT.to_owned()),
        }
    }

    /// The value of `webhook-signature`: `v1,…`, for each key one. `time` is in seconds since 1970.
    pub(super) fn sign(&self, id: &str, time: u64, body: &[u8]) -> String {
        let each = self.0.iter().filter_map(|key| {
            // HMAC takes keys of any length.
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(format!("{id}.{time}.").as_bytes());
            mac.update(body);
            Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
        });
        each.collect::<Vec<_>>().join(" ")
    }
}

fn key(line: &str) -> Option<Vec<u8>> {
    let key = BASE64.decode(line.strip_prefix(PREFIX).unwrap_or(line)).ok()?;
    BYTES.contains(&key.len()).then_some(key)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that Standard Webhooks' own libraries are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signed(secrets: &str) -> String {
        let keys = Keys::read(secrets).unwrap();
        keys.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        )
    }

    #[test]
    fn the_published_vector_comes_out() {
        for secret in [
            SECRET,
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
            "\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\r\n",
        ] {
            assert_eq!(signed(secret), SIGNATURE);
        }
    }

    #[test]
    fn two_secrets_sign_side_by_side() {
        let other = format!("whsec_{}", BASE64.encode([7; 32]));
        let both = signed(&format!("{other}\n{SECRET}\n"));
        assert_eq!(both, format!("{} {SIGNATURE}", signed(&other)));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        let (short, long) = (BASE64.encode([7; 23]), BASE64.encode([7; 65]));
        let three = format!("{SECRET}\n").repeat(3);
        for text in [
            "",
            "\n\n",
            "whsec_",
            "correct horse battery staple, and more of it",
            &short,
            &long,
            &three,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS\u{e4}",
        ] {
            let problem = Keys::read(text).unwrap_err();
            assert_eq!(problem, HINT, "{text:?}");
        }
        assert!(Keys::read(&BASE64.encode([7; 64])).is_ok());
        assert_eq!(format!("{:?}", Keys::read(SECRET).unwrap()), "1 keys");
    }
}

//! What a server knows us by: a token from the environment or a file, never from the command line, which anybody sees who lists processes.
//!
//! In: `LAZARET_TOKEN`, or a file. Out: the header that carries it. No error and no `Debug` shows any of it.
#![forbid(unsafe_code)]

use std::path::Path;

use ureq::http::HeaderValue;

use crate::cli::Failure;
use crate::desk::TOKEN;
use crate::owned;

/// Where it is where no file is named.
const VARIABLE: &str = "LAZARET_TOKEN";
/// Longest token: what a desk reads.
const LONGEST: usize = 100;

/// A token, as a header carries it.
pub(super) struct Token(HeaderValue);

impl Token {
    /// Finds it. The file wins over the variable.
    pub(super) fn find(file: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = file {
            let wrong = |problem: String| Failure::Other(format!("--token-file: {}: {problem}", path.display()));
            let text = owned::read(path).map_err(wrong)?;
            return Self::of(&text).ok_or_else(|| wrong(none()));
        }
        match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            Some(value) => value
                .to_str()
                .and_then(Self::of)
                .ok_or_else(|| Failure::Usage(format!("{VARIABLE} {}", none()))),
            None => Err(Failure::Usage(format!(
                "a server wants a token: set {VARIABLE}, or give --token-file; `lazaret desk token add` makes one"
            ))),
        }
    }

    /// A text that may be one, with the end of its line or without.
    fn of(text: &str) -> Option<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let may_be =
            text.starts_with(TOKEN) && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut header = HeaderValue::from_str(&format!("Bearer {text}"))
            .ok()
            .filter(|_| may_be)?;
        header.set_sensitive(true);
        Some(Self(header))
    }

    /// The value of `Authorization`.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn none() -> String {
    format!("holds no token: that is one line which begins with {TOKEN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_and_is_not_shown() {
        for text in ["lzt_abc-_9", "lzt_abc-_9\n", "lzt_abc-_9\r\n"] {
            let header = Token::of(text).unwrap().header();
            assert_eq!(header.to_str().unwrap(), "Bearer lzt_abc-_9");
            assert!(!format!("{header:?}").contains("lzt_"), "{header:?}");
        }
        let long = format!("lzt_{}", "a".repeat(LONGEST));
        for text in [
            "",
            "\n",
            "lzt",
            "abc",
            " lzt_abc",
            "lzt_a bc",
            "lzt_abc\n\n",
            "lzt_abc\r\nX-Other: 1",
            "lzt_abc\nlzt_def\n",
            "lzt_\u{e4}",
            "lzt_a\0",
            &long,
        ] {
            assert!(Token::of(text).is_none(), "{text:?}");
        }
    }
}

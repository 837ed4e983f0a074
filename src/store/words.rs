//! What a bucket says, in words that may be logged. `[pure]`
//!
//! In: an error of the client, with all that the server answered. Out: its kind and a short sentence. The answer itself is never shown: where a
//! session has ended, S3 repeats its token there; where a signature is wrong, what was signed.

use std::io;

use object_store::Error;

/// Longest sentence that is taken from a server, in characters.
const LONGEST: usize = 200;
/// What an answer calls an object that is not there. Another 404 is a bucket that is not there, or no bucket's answer at all.
const MISSING: [&str; 2] = ["NoSuchKey", "BlobNotFound"];
/// Where instances are told who they are.
const METADATA: [&str; 3] = ["http://169.254.", "http://metadata.google", "http://[fd00:ec2"];

/// The error as the rest of the program knows errors: `NotFound` is an object that is not there, all else is our own trouble.
pub(super) fn of(place: &str, error: &Error) -> io::Error {
    let whole = error.to_string();
    let root = root(error);
    let said = match root.split_once("status code: ") {
        Some((_, answer)) => Said::of(answer),
        None => Said {
            status: String::new(),
            code: None,
            words: short(&root),
            body: Body::Nothing,
        },
    };
    let kind = match error {
        Error::NotFound { .. } if said.is_of_an_object() => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        Error::InvalidPath { .. } => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    let hint = match METADATA.iter().any(|address| whole.contains(address)) {
        true => "no credentials in the environment, and none from the instance: ",
        false => "",
    };
    io::Error::new(kind, format!("{place}: {hint}{}", said.sentence()))
}

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: String,
    code: Option<String>,
    words: String,
    body: Body,
}

/// Whether there was more than a status.
#[derive(Debug, PartialEq, Eq)]
enum Body {
    Something,
    Nothing,
}

impl Said {
    /// Reads `403 Forbidden: <Error>…`.
    fn of(answer: &str) -> Self {
        let (status, body) = answer.split_once(':').unwrap_or((answer, ""));
        Self {
            status: short(status),
            code: between(body, "Code").map(|code| short(&code)),
            words: between(body, "Message").map(|words| short(&words)).unwrap_or_default(),
            body: match body.trim() {
                "" => Body::Nothing,
                _ => Body::Something,
            },
        }
    }

    /// A 404 without a word is the answer to a question for the head alone.
    fn is_of_an_object(&self) -> bool {
        match &self.code {
            Some(code) => MISSING.contains(&code.as_str()),
            None => self.body == Body::Nothing,
        }
    }

    fn sentence(&self) -> String {
        let Self {
            status, code, words, ..
        } = self;
        match (status.is_empty(), code) {
            (true, _) => words.clone(),
            (false, None) => status.clone(),
            (false, Some(code)) if words.is_empty() => format!("{status} ({code})"),
            (false, Some(code)) => format!("{status} ({code}: {words})"),
        }
    }
}

/// The innermost cause: those around it carry addresses and numbers of tries.
fn root(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What stands between the first `<tag>` and its end.
fn between(text: &str, tag: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    let (inner, _) = rest.split_once(&format!("</{tag}>"))?;
    Some(inner.to_owned())
}

/// One line, not too long, and nothing that moves a terminal's cursor.
fn short(text: &str) -> String {
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    let plain = line.chars().filter(|c| !c.is_control());
    plain.take(LONGEST).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRED: &str = "403 Forbidden: <?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.\
                           </Message><Token-0>FQoGZXIvYXdzEHUaDNsecret</Token-0><RequestId>1</RequestId></Error>";

    fn generic(text: String) -> Error {
        Error::Generic {
            store: "S3",
            source: text.into(),
        }
    }

    #[test]
    fn tokens_that_a_server_repeats_are_not_told() {
        let error = Error::PermissionDenied {
            path: "b/k".to_owned(),
            source: format!("Server returned non-2xx status code: {EXPIRED}").into(),
        };
        let error = of("s3://b/k", &error);
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(
            error.to_string(),
            "s3://b/k: 403 Forbidden (ExpiredToken: The provided token has expired.)"
        );
    }

    #[test]
    fn an_object_that_is_missing_is_told_from_a_bucket_that_is() {
        let kind = |body: &str| {
            let error = Error::NotFound {
                path: "b/k".to_owned(),
                source: format!("Server returned non-2xx status code: 404 Not Found: {body}").into(),
            };
            of("s3://b/k", &error).kind()
        };
        assert_eq!(kind("<Error><Code>NoSuchKey</Code></Error>"), io::ErrorKind::NotFound);
        assert_eq!(
            kind("<Error><Code>BlobNotFound</Code></Error>"),
            io::ErrorKind::NotFound
        );
        assert_eq!(kind(""), io::ErrorKind::NotFound);
        assert_eq!(kind("<Error><Code>NoSuchBucket</Code></Error>"), io::ErrorKind::Other);
        assert_eq!(kind("<html>nginx</html>"), io::ErrorKind::Other);
    }

    #[test]
    fn answers_that_are_no_answers_of_a_bucket_are_cut_to_their_status() {
        let error = generic(format!("status code: 502 Bad Gateway: {}", "<p>x".repeat(1000)));
        assert_eq!(of("s3://b", &error).to_string(), "s3://b: 502 Bad Gateway");
        let error = generic("connection refused\nand more".to_owned());
        assert_eq!(of("s3://b", &error).to_string(), "s3://b: connection refused");
        let error = generic(format!(
            "status code: 500 X: <Code>\u{1b}[2J</Code><Message>{}</Message>",
            "m".repeat(999)
        ));
        let words = of("s3://b", &error).to_string();
        assert!(words.len() < 300 && !words.contains('\u{1b}'), "{words}");
    }

    #[test]
    fn an_instance_that_says_nothing_is_told_as_missing_credentials() {
        let error = generic("Error performing PUT http://169.254.169.254/latest/api/token: timed out".to_owned());
        let words = of("s3://b", &error).to_string();
        assert!(
            words.starts_with("s3://b: no credentials in the environment"),
            "{words}"
        );
    }
}

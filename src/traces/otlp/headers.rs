//! `OTEL_EXPORTER_OTLP_HEADERS`: what a collector asks for beside spans, a secret as a rule. It is held against the standard here, because whoever reads it
//! passes over what is wrong. No error shows a value.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;

use percent_encoding::percent_decode_str;
use ureq::http::{HeaderName, HeaderValue};

use crate::config::{CollectorAddress, ConfigError, Reach, Tls};

/// The first that is set is read, the other is not.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];

/// Looks at what this process was given for its collector.
///
/// # Errors
/// Names the variable, and the header.
pub(super) fn look(collector: &CollectorAddress) -> Result<(), ConfigError> {
    let set = |name| env::var_os(name).map(|value| (name, value));
    let Some((variable, value)) = VARIABLES.into_iter().find_map(set) else {
        return Ok(());
    };
    check(collector, value).map_err(|problem| ConfigError {
        place: variable.to_owned(),
        problem,
    })
}

fn check(collector: &CollectorAddress, value: OsString) -> Result<(), String> {
    let text = value.into_string().map_err(|_| "its value is not UTF-8".to_owned())?;
    let headers: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|header| !header.is_empty())
        .collect();
    for (index, header) in headers.iter().enumerate() {
        well_formed(header).map_err(|problem| format!("header {} {problem}", index + 1))?;
    }
    if !headers.is_empty() && collector.tls() == Tls::Off && collector.reach() == Reach::Network {
        return Err(format!(
            "would go over the network as it is: traces.endpoint is {collector}, and http with headers is for 127.0.0.1 and [::1] alone; \
             write https://, or unset the variable"
        ));
    }
    Ok(())
}

/// `name=value`, the value percent-encoded.
fn well_formed(header: &str) -> Result<(), String> {
    let Some((name, value)) = header.split_once('=') else {
        return Err("is not written as name=value".to_owned());
    };
    let name = HeaderName::try_from(name.trim()).map_err(|_| "has a name that is none of a header".to_owned())?;
    let value = percent_decode_str(value.trim()).decode_utf8();
    let good = value.is_ok_and(|value| !value.is_empty() && HeaderValue::try_from(&*value).is_ok());
    match good {
        true => Ok(()),
        false => Err(format!("({name}) has no value, or one that no header can have")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(collector: &str, text: &str) -> Result<(), String> {
        check(&collector.parse().unwrap(), text.into())
    }

    #[test]
    fn headers_are_read_as_the_standard_has_them() {
        for text in [
            "",
            " , ",
            "api-key=7",
            "authorization=Basic%20c2VjcmV0, x-scope=a%2Cb",
            "a=b=c,",
        ] {
            assert_eq!(checked("https://otel", text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said_without_it() {
        for (text, words) in [
            ("secret", "header 1 is not written as name=value"),
            ("a=1, sec ret=2", "header 2 has a name that is none"),
            ("=secret", "header 1 has a name"),
            ("api-key=", "header 1 (api-key) has no value"),
            ("api-key=secret%0A", "header 1 (api-key) has no value, or one"),
            ("api-key=secret%ff", "header 1 (api-key)"),
        ] {
            let problem = checked("https://otel", text).unwrap_err();
            assert!(
                problem.contains(words) && !problem.contains("secret"),
                "{text}: {problem}"
            );
        }
    }

    #[test]
    fn a_secret_goes_over_no_network_as_it_is() {
        for here in ["http://127.0.0.1:4318", "http://[::1]:4318", "https://otel"] {
            assert_eq!(checked(here, "api-key=secret"), Ok(()), "{here}");
        }
        assert_eq!(checked("http://otel:4318", ""), Ok(()));
        for there in ["http://otel:4318", "http://localhost:4318", "http://10.0.0.7:4318"] {
            let problem = checked(there, "api-key=secret").unwrap_err();
            assert!(
                problem.contains("write https://") && !problem.contains("secret"),
                "{problem}"
            );
        }
    }
}

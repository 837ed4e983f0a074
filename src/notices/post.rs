//! One try: a delivery is signed and posted, and the answer looked at.
//!
//! The address is the configuration's, and no other. Of an answer the status counts; of
//! a refusal a few words are read for people, of anything else nothing. One try ends in time, whatever the receiver does. Calls block.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Request, Response, header};

use super::delivery::Delivery;
use super::secret;
use super::sign::Keys;
use crate::config::{ConfigError, NoticesConfig, Tls, WebhookAddress};
use crate::http::{self, Patience};
use crate::trust;

/// Most bytes of a refusal that are read.
const SAID: u64 = 1024;
/// What an event in structured JSON is.
const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Where deliveries go, and how they are signed.
pub struct Post {
    agent: Agent,
    address: WebhookAddress,
    keys: Keys,
    timeout: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has arrived; the status, 200 to 299.
    Taken(u16),
    /// It was not taken.
    Refused {
        /// The status.
        status: u16,
        /// How long the receiver wants to be left alone.
        wait: Option<Duration>,
        /// Its first words, which are a stranger's.
        said: String,
    },
    /// Nobody answered, or not in time; why, without the address.
    Nothing(String),
}

impl Post {
    /// As the configuration has it; none where it names no address. Nothing is connected yet.
    ///
    /// # Errors
    /// A secret or a CA that is missing or wrong, with its key and its path.
    pub fn new(config: &NoticesConfig) -> Result<Option<Self>, ConfigError> {
        let Some(address) = config.url.clone() else {
            return Ok(None);
        };
        let keys = secret::find(config.secret_file.as_deref())?;
        let tls = match address.tls() {
            Tls::On => Some(trust::configured("notices.ca", config.ca.as_deref())?),
            Tls::Off => None,
        };
        Ok(Some(Self {
            agent: http::client(Patience::of(config.timeout), tls),
            address,
            keys,
            timeout: config.timeout,
        }))
    }

    /// Where deliveries go, as people may see it.
    pub fn address(&self) -> &WebhookAddress {
        &self.address
    }

    /// One try. `time` is in seconds since 1970.
    pub(super) fn send(&self, delivery: &Delivery, time: u64) -> Answer {
        let signature = self.keys.sign(&delivery.id, time, &delivery.body);
        let request = Request::builder()
            .method("POST")
            .uri(self.address.whole())
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", time)
            .header("webhook-signature", signature)
            .body(&delivery.body[..]);
        let Ok(request) = request else {
            return Answer::Nothing("notices.url is no address that HTTP knows".to_owned());
        };
        match self.agent.run(request) {
            Ok(response) => answered(response),
            Err(error) => Answer::Nothing(self.in_words(&error)),
        }
    }

    /// Errors of the client may hold the address.
    fn in_words(&self, error: &ureq::Error) -> String {
        let timeout = humantime::format_duration(self.timeout);
        match error {
            ureq::Error::Timeout(_) => format!("no answer within {timeout}"),
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => tls(error),
            ureq::Error::Io(io) if io.to_string().contains("certificate") => tls(io),
            ureq::Error::Io(io) => io.to_string(),
            ureq::Error::ConnectionFailed => "no connection".to_owned(),
            _ => "what answers there does not speak HTTP".to_owned(),
        }
    }
}

fn tls(error: &impl fmt::Display) -> String {
    format!("TLS failed: {error}; see notices.ca, and whether the certificate is for this host")
}

fn answered(response: Response<ureq::Body>) -> Answer {
    let status = response.status().as_u16();
    if response.status().is_success() {
        return Answer::Taken(status);
    }
    let wait = response.headers().get(header::RETRY_AFTER);
    let wait = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
    let mut said = Vec::new();
    // Words that do not come are not waited for beyond the time of the try.
    let _ = response.into_body().into_reader().take(SAID).read_to_end(&mut said);
    Answer::Refused {
        status,
        wait: wait.map(Duration::from_secs),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(status) => write!(f, "taken with HTTP status {status}"),
            Self::Refused { status, .. } if (300..400).contains(status) => {
                write!(
                    f,
                    "leads elsewhere (HTTP status {status}), where no notice is sent; name the right address"
                )
            }
            Self::Refused { status: 410, .. } => f.write_str("nobody wants notices there any more (HTTP status 410)"),
            Self::Refused { status, .. } => write!(f, "refused with HTTP status {status}"),
            Self::Nothing(why) => f.write_str(why),
        }
    }
}

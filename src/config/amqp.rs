//! How RabbitMQ is spoken to: TLS, the management API, and patience. `[pure]`
//!
//! Absent on purpose: everything about queues. Their settings are policies of the broker, see `docs/rabbitmq.md`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AmqpAddress, BrokerAddress, Config, ManagementAddress, Tls};

/// How RabbitMQ is spoken to. Empty paths and addresses are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmqpConfig {
    /// PEM file of the CA that signed the broker's certificate; none: the system's.
    #[serde(with = "optional")]
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    #[serde(with = "optional")]
    pub certificate: Option<PathBuf>,
    /// PEM file (PKCS #8) of its private key.
    #[serde(with = "optional")]
    pub key: Option<PathBuf>,
    /// The management API; none: that of the broker's host.
    #[serde(with = "optional")]
    pub management: Option<ManagementAddress>,
    /// Longest silence on a connection, 5 s to 10 min.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// Messages in hand per worker, 0 to 65,535; 0: see [`AmqpConfig::window`].
    pub prefetch: u32,
    /// Longest wait for a confirm, 1 s to 60 s.
    #[serde(with = "humantime_serde")]
    pub confirm_timeout: Duration,
}

impl Default for AmqpConfig {
    fn default() -> Self {
        Self {
            ca: None,
            certificate: None,
            key: None,
            management: None,
            heartbeat: Duration::from_secs(30),
            prefetch: 0,
            confirm_timeout: Duration::from_secs(10),
        }
    }
}

impl AmqpConfig {
    /// Messages in hand of a worker with so many slots: as configured, or 8 per slot and at least 64. Never 0, which means no bound.
    pub fn window(&self, slots: usize) -> u16 {
        let wanted = match self.prefetch {
            0 => slots.saturating_mul(8).max(64),
            prefetch => prefetch as usize,
        };
        u16::try_from(wanted).unwrap_or(u16::MAX)
    }

    /// Where the management API of a broker is, and who calls it.
    pub fn management(&self, broker: &AmqpAddress) -> ManagementAddress {
        match &self.management {
            Some(address) => address.clone().or_user_of(broker),
            None => broker.management(),
        }
    }

    /// Files that are named.
    pub(super) fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca, &mut self.certificate, &mut self.key]
            .into_iter()
            .flatten()
    }
}

/// The first contradiction, or value that is out of bounds, with the way out.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let amqp = &config.amqp;
    let seconds = Duration::from_secs;
    if amqp.prefetch > u32::from(u16::MAX) {
        return Some(format!("amqp.prefetch is {}, at most {}", amqp.prefetch, u16::MAX));
    }
    between("amqp.heartbeat", amqp.heartbeat, seconds(5), seconds(600))
        .or_else(|| between("amqp.confirm_timeout", amqp.confirm_timeout, seconds(1), seconds(60)))
        .or_else(|| half_an_identity("amqp", amqp.certificate.as_deref(), amqp.key.as_deref()))
        .or_else(|| tls_without_tls(config))
}

pub(super) fn between(key: &str, time: Duration, least: Duration, most: Duration) -> Option<String> {
    let written = humantime::format_duration;
    let fits = least <= time && time <= most;
    (!fits).then(|| {
        format!(
            "{key} is {}, not between {} and {}",
            written(time),
            written(least),
            written(most)
        )
    })
}

/// A certificate without its key, or a key without its certificate.
pub(super) fn half_an_identity(section: &str, certificate: Option<&Path>, key: Option<&Path>) -> Option<String> {
    let (there, missing) = match (certificate, key) {
        (Some(_), None) => ("certificate", "key"),
        (None, Some(_)) => ("key", "certificate"),
        _ => return None,
    };
    Some(format!(
        "{section}.{there} is given without {section}.{missing}; give both or neither"
    ))
}

/// Files that would not be used: whoever gave them believes that the connection is encrypted.
fn tls_without_tls(config: &Config) -> Option<String> {
    let (amqp, BrokerAddress::Amqp(broker)) = (&config.amqp, &config.broker) else {
        return None;
    };
    let key = match (&amqp.ca, &amqp.certificate) {
        (Some(_), _) => "ca",
        (None, Some(_)) => "certificate",
        (None, None) => return None,
    };
    let off = broker.tls() == Tls::Off && amqp.management(broker).tls() == Tls::Off;
    off.then(|| format!("amqp.{key} is given, but {broker} is not encrypted; write amqps://, or drop amqp.{key}"))
}

/// An empty text is none.
pub(super) mod optional {
    use serde::de::value::{Error, StringDeserializer};
    use serde::de::{Deserializer, Error as _, IntoDeserializer};
    use serde::{Deserialize, Serialize, Serializer};

    pub(in crate::config) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(to),
            None => to.serialize_str(""),
        }
    }

    pub(in crate::config) fn deserialize<'a, T: Deserialize<'a>, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        let text: StringDeserializer<Error> = text.into_deserializer();
        T::deserialize(text).map(Some).map_err(D::Error::custom)
    }
}

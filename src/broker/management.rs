//! RabbitMQ's management API: reads the topology, and makes what is missing. Never deletes.
//!
//! In: addresses and files of the configuration. Out: a [`Topology`], or an error that says what to do and holds no credentials.
//! Calls block for up to 10 s: not for a runtime's own threads.

mod errors;

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::{Request, header};
use ureq::tls::{ClientCert, PrivateKey, TlsConfig};
use ureq::{Agent, AsSendBody};

use super::BrokerError;
use super::pem::{Identity, Pem};
use super::topology::{Object, Topology};
use crate::config::{AmqpAddress, AmqpConfig, ConfigError, Tls};
use crate::http::{self, Patience};
use crate::trust;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    call: Duration::from_secs(10),
};

/// The management API, as far as one virtual host is concerned.
pub struct Management {
    agent: Agent,
    base: String,
    authorization: String,
    user: String,
    vhost: String,
}

impl Management {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// Files of certificates that are missing or wrong.
    pub fn new(config: &AmqpConfig, broker: &AmqpAddress) -> Result<Self, ConfigError> {
        let address = config.management(broker);
        let (user, password) = address.credentials().unwrap_or_default();
        let tls = match address.tls() {
            Tls::On => Some(tls(&Pem::read(config)?)?),
            Tls::Off => None,
        };
        Ok(Self {
            agent: http::client(PATIENCE, tls),
            base: address.base(),
            authorization: format!("Basic {}", base64(format!("{user}:{password}").as_bytes())),
            user: user.to_owned(),
            vhost: broker.vhost().to_owned(),
        })
    }

    /// What is there.
    pub fn read(&self) -> Result<Topology, BrokerError> {
        Ok(Topology {
            exchanges: self.list("exchanges")?,
            // Statistics are up to 5 s old, and the policy that applies would be one of them.
            queues: self.list("queues")?,
            bindings: self.list("bindings")?,
            policies: self.list("policies")?,
        })
    }

    /// Makes something, or puts it in place of what has its name.
    pub fn make(&self, object: &Object) -> Result<(), BrokerError> {
        let vhost = encoded(&self.vhost);
        let put = |kind: &str, name: &str, body: Value| {
            let path = format!("{kind}/{vhost}/{}", encoded(name));
            self.call("PUT", &path, body.to_string()).map(drop)
        };
        match object {
            Object::Exchange(exchange) => put("exchanges", &exchange.name, json!(exchange)),
            Object::Queue(queue) => put("queues", &queue.name, json!(queue)),
            Object::Policy(policy) => put("policies", &policy.name, json!(policy)),
            Object::Binding(binding) => {
                let [source, destination] = [&binding.source, &binding.destination].map(|name| encoded(name));
                let path = format!("bindings/{vhost}/e/{source}/q/{destination}");
                self.call("POST", &path, json!(binding).to_string()).map(drop)
            }
        }
    }

    fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, BrokerError> {
        let path = format!("{kind}/{}?disable_stats=true", encoded(&self.vhost));
        let text = self.call("GET", &path, ())?;
        serde_json::from_str(&text).map_err(|error| self.error(errors::not_the_api(&error)))
    }

    fn call(&self, method: &str, path: &str, body: impl AsSendBody) -> Result<String, BrokerError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/{path}", self.base))
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|_| self.error("amqp.management is no address that HTTP knows".to_owned()))?;
        let mut response = self
            .agent
            .run(request)
            .map_err(|error| self.error(errors::unreachable(&error)))?;
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(|error| self.error(errors::unreachable(&error)))?;
        match response.status().as_u16() {
            200..=299 => Ok(text),
            status => Err(self.error(errors::refused(status, &text, &self.user, &self.vhost))),
        }
    }

    fn error(&self, problem: String) -> BrokerError {
        BrokerError {
            place: self.base.clone(),
            problem,
        }
    }
}

/// The CA's certificates or the system's, and ours where there are any.
fn tls(pem: &Pem) -> Result<TlsConfig, ConfigError> {
    let own = pem.identity.as_ref().and_then(client_cert);
    trust::tls(pem.ca.as_deref(), own).map_err(|problem| ConfigError {
        place: "amqp.ca".to_owned(),
        problem,
    })
}

/// Checked when it was read: certificate and key are there, and belong together.
fn client_cert(identity: &Identity) -> Option<ClientCert> {
    let key = PrivateKey::from_pem(identity.key.as_bytes()).ok()?;
    Some(ClientCert::new_with_certs(&trust::certificates(&identity.chain), key))
}

/// A name as one part of a path.
fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| chunk.get(index).copied().map_or(0, u32::from);
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit > chunk.len() {
                '='
            } else {
                char::from(ALPHABET[value as usize])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("root:\u{fc}?>", "cm9vdDrDvD8+"),
        ];
        for (plain, text) in cases {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}

//! A connection to the broker: TLS, names, and deadlines around every step of the hand-shake.

use std::time::Duration;

use lapin::runtime::default_runtime;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::timeout;

use crate::broker::BrokerError;
use crate::broker::envelope::REPLIES;

/// How long a connection may take to stand, its TLS and AMQP hand-shakes included. The client library has no limit of its own.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the broker may take to answer a request that it can answer from memory.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// A broker, and how to reach it.
#[derive(Clone)]
pub struct Server {
    /// Where it is, with credentials.
    pub uri: AMQPUri,
    /// Where it is, for people: no password.
    pub place: String,
    /// PEM of the authority that signed its certificate; `None`: those of the system.
    pub authority: Option<String>,
    /// PEM of a client certificate and of its key (PKCS #8).
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Most unacknowledged messages of each lane.
    pub prefetch: u16,
    /// How long a confirm is waited for.
    pub confirm: Duration,
    /// Who connects, as the broker's operators see it.
    pub name: String,
}

impl Server {
    /// Opens a connection for one purpose.
    pub(super) async fn dial(&self, purpose: &str) -> Result<Connection, BrokerError> {
        let runtime = default_runtime().map_err(|error| self.error(error))?;
        let name = format!("{} {purpose}", self.name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = OwnedTLSConfig {
            identity: self
                .identity
                .clone()
                .map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key }),
            cert_chain: self.authority.clone(),
        };
        let connect = Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime);
        self.within(CONNECT, connect).await
    }

    /// Opens a channel.
    pub(super) async fn channel(&self, connection: &Connection) -> Result<Channel, BrokerError> {
        self.within(ANSWER, connection.create_channel()).await
    }

    /// An answer of the broker, in time.
    pub(super) async fn within<T>(
        &self,
        time: Duration,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BrokerError> {
        match timeout(time, answer).await {
            Ok(answer) => answer.map_err(|error| self.error(error)),
            Err(_) => Err(self.error(format!("does not answer within {} s", time.as_secs()))),
        }
    }

    /// What went wrong, with a remedy where one is known, and without the password whoever wrote it.
    pub(super) fn error(&self, problem: impl std::fmt::Display) -> BrokerError {
        let mut problem = problem.to_string();
        let password = &self.uri.authority.userinfo.password;
        if password.len() > 3 {
            problem = problem.replace(password.as_str(), "…");
        }
        let remedy = self.remedy(&problem);
        BrokerError {
            place: self.place.clone(),
            problem: problem + &remedy,
        }
    }

    fn remedy(&self, problem: &str) -> String {
        let user = &self.uri.authority.userinfo.username;
        if problem.contains("ACCESS_REFUSED") && problem.contains("Login was refused") {
            format!("; check user {user:?} and its password")
        } else if problem.contains("NOT_ALLOWED") && problem.contains("vhost") {
            format!(
                "; make the virtual host {:?} and give user {user:?} rights in it",
                self.uri.vhost
            )
        } else if problem.contains("ACCESS_REFUSED") && problem.contains(REPLIES) {
            format!("; to wait for answers, user {user:?} needs the right to configure queues {REPLIES}*")
        } else if problem.contains("UnknownIssuer") {
            "; set amqp.ca to the PEM file of the CA that signed the broker's certificate".to_owned()
        } else {
            String::new()
        }
    }
}

/// Closes a connection without waiting for a broker that does not answer.
pub(super) fn hang_up(connection: Connection) {
    tokio::spawn(async move {
        let close = connection.close(200, "done".into());
        let _ = timeout(Duration::from_secs(2), close).await;
    });
}

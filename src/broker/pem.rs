//! Certificates and keys of the connection to RabbitMQ, read and checked before anything is connected.
//!
//! In: the files of `[amqp]`. Out: their content, or an error with the key of the configuration and the path. Nothing of a file is ever shown.

use std::fs;
use std::path::Path;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::{AmqpConfig, ConfigError};

/// What the files hold. No `Debug`: there is a key in it.
#[derive(Clone)]
pub struct Pem {
    /// Certificates of the CA, one or more; none: the system's.
    pub ca: Option<String>,
    /// What the broker may know us by.
    pub identity: Option<Identity>,
}

/// A client's certificate and key, which belong together.
#[derive(Clone)]
pub struct Identity {
    /// Certificates, ours first.
    pub chain: String,
    /// Private key.
    pub key: String,
}

impl Pem {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the key and the path.
    pub fn read(config: &AmqpConfig) -> Result<Self, ConfigError> {
        let ca = match &config.ca {
            Some(path) => Some(read("amqp.ca", path).and_then(|text| certificates("amqp.ca", path, text))?),
            None => None,
        };
        let identity = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => Some(Identity::read(certificate, key)?),
            _ => None,
        };
        Ok(Self { ca, identity })
    }
}

impl Identity {
    fn read(certificate: &Path, key: &Path) -> Result<Self, ConfigError> {
        let chain = read("amqp.certificate", certificate)?;
        let chain = certificates("amqp.certificate", certificate, chain)?;
        let text = read("amqp.key", key)?;
        let wrong = |problem: &str| wrong("amqp.key", key, problem);
        let parsed = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| wrong("holds no private key in PEM; an encrypted one cannot be read"))?;
        let der = CertificateDer::pem_slice_iter(chain.as_bytes()).flatten().collect();
        CertifiedKey::from_der(der, parsed, &ring::default_provider())
            .map_err(|error| wrong(&format!("does not go with amqp.certificate: {error}")))?;
        Ok(Self { chain, key: text })
    }
}

fn read(key: &str, path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error| wrong(key, path, &error.to_string()))
}

fn certificates(key: &str, path: &Path, text: String) -> Result<String, ConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(text),
        _ => Err(wrong(key, path, "holds no certificate in PEM")),
    }
}

fn wrong(key: &str, path: &Path, problem: &str) -> ConfigError {
    ConfigError {
        place: key.to_owned(),
        problem: format!("{}: {problem}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_hold_something_else_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let config = AmqpConfig {
            ca: Some(path.clone()),
            ..AmqpConfig::default()
        };
        let problem = || Pem::read(&config).err().unwrap().to_string();
        assert!(
            problem().starts_with("amqp.ca: ") && problem().contains("No such file"),
            "{}",
            problem()
        );
        fs::write(&path, "not a certificate").unwrap();
        assert!(
            problem().ends_with("ca.pem: holds no certificate in PEM"),
            "{}",
            problem()
        );
    }
}

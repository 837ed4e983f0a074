//! Whom we believe over HTTPS: the CAs of a file, or those of the system.
//!
//! In: certificates in PEM. Out: settings of TLS, by ring, for the HTTP client. Nothing is connected here.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, TlsProvider};

use crate::config::ConfigError;

/// What to do where neither a file nor the system has any.
const NO_CAS: &str = "is not given, and the system has no certificates of CAs; install ca-certificates";

/// [`believing`], as a key of the configuration has it.
pub(crate) fn configured(key: &str, file: Option<&Path>) -> Result<TlsConfig, ConfigError> {
    believing(file).map_err(|problem| ConfigError {
        place: key.to_owned(),
        problem,
    })
}

/// TLS that believes the CAs of a file, or without one those of the system.
///
/// # Errors
/// What is wrong, to go on after the name of the setting; with the path, where there is one.
pub(crate) fn believing(file: Option<&Path>) -> Result<TlsConfig, String> {
    let named = |path: &Path, problem: String| format!("{}: {problem}", path.display());
    let text = file.map(|path| fs::read_to_string(path).map_err(|error| named(path, error.to_string())));
    tls(text.transpose()?.as_deref(), None).map_err(|problem| match file {
        Some(path) => named(path, problem),
        None => problem,
    })
}

/// TLS that believes the CAs in a text, or without one those of the system, and shows a certificate of ours where there is one.
///
/// # Errors
/// There is nobody to believe.
pub(crate) fn tls(pem: Option<&str>, own: Option<ClientCert>) -> Result<TlsConfig, String> {
    let (roots, none) = match pem {
        Some(pem) => (certificates(pem), "holds no certificate in PEM"),
        None => (system(), NO_CAS),
    };
    if roots.is_empty() {
        return Err(none.to_owned());
    }
    let settings = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(roots.into_iter()))
        .client_cert(own);
    Ok(settings.build())
}

/// The certificates in a text; what is none is skipped.
pub(crate) fn certificates(pem: &str) -> Vec<Certificate<'static>> {
    ureq::tls::parse_pem(pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// The CAs that the system believes.
fn system() -> Vec<Certificate<'static>> {
    let system = rustls_native_certs::load_native_certs();
    let owned = |der: &rustls::pki_types::CertificateDer<'_>| Certificate::from_der(der).to_owned();
    system.certs.iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_believed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(believing(Some(&path)).unwrap_err().contains("No such file"));
        fs::write(&path, "-----BEGIN CERTIFICATE-----\n").unwrap();
        let problem = believing(Some(&path)).unwrap_err();
        assert_eq!(problem, format!("{}: holds no certificate in PEM", path.display()));
    }
}

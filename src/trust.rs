//! Whom we believe over HTTPS: the CAs of a file, or those of the system.
//!
//! In: certificates in PEM. Out: settings of TLS, by ring, for the HTTP client. Nothing is connected here.
#![forbid(unsafe_code)]

use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, TlsProvider};

/// What to do where neither a file nor the system has any.
pub(crate) const NO_CAS: &str = "is not given, and the system has no certificates of CAs; install ca-certificates";

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
pub(crate) fn system() -> Vec<Certificate<'static>> {
    let system = rustls_native_certs::load_native_certs();
    let owned = |der: &rustls::pki_types::CertificateDer<'_>| Certificate::from_der(der).to_owned();
    system.certs.iter().map(owned).collect()
}

/// TLS that believes these CAs alone, and shows a certificate of ours where there is one.
pub(crate) fn tls(roots: Vec<Certificate<'static>>, own: Option<ClientCert>) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(roots.into_iter()))
        .client_cert(own)
        .build()
}

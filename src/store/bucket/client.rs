//! Clients of buckets: who we say that we are, whom we believe, and how often we try.
//!
//! Credentials come from where the providers' own tools look for them: variables, files that these name, the instance. Nothing of ours holds any.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::signer::Signer;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

use super::super::Terms;
use crate::config::{BucketAddress, PlainHttp, Provider};

/// Tries after the first one.
const RETRIES: usize = 3;
/// Wait before the second try; each further one waits up to twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// What browsers are to take renditions for.
const TYPES: [(&str, &str); 5] = [
    ("jpg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("avif", "image/avif"),
];
/// And everything else: to be saved, not to be shown.
const OTHER: &str = "application/octet-stream";

type Client = (Arc<dyn ObjectStore>, Arc<dyn Signer>);

/// A client for an address.
///
/// # Errors
/// See [`Bucket::open`](super::Bucket::open).
pub(super) fn open(address: &BucketAddress, terms: &Terms) -> io::Result<Client> {
    // TLS by ring, as everywhere: the HTTP client asks the process for it. Where another part was first, it is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (options, retry) = (options(address, terms)?, retry(terms));
    match address.provider() {
        Provider::S3 => s3(address, options, retry),
        Provider::Google => google(address, options, retry),
        Provider::Azure => azure(address, options, retry),
    }
}

#[cfg(feature = "s3")]
fn s3(address: &BucketAddress, options: ClientOptions, retry: RetryConfig) -> io::Result<Client> {
    use crate::config::Style;

    let mut builder = object_store::aws::AmazonS3Builder::from_env()
        .with_bucket_name(address.bucket())
        .with_client_options(options)
        .with_retry(retry)
        // One object a request: what is compatible with S3 often knows no other way.
        .with_disable_bulk_delete(true)
        .with_virtual_hosted_style_request(address.style() == Style::Host);
    if let Some(endpoint) = address.endpoint() {
        let endpoint = match address.style() {
            Style::Path => endpoint.to_owned(),
            Style::Host => before_host(endpoint, address.bucket())?,
        };
        builder = builder.with_config(object_store::aws::AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = address.region() {
        builder = builder.with_region(region);
    }
    let client = Arc::new(builder.build().map_err(plainly)?);
    Ok((Arc::clone(&client) as _, client))
}

/// The client wants an endpoint that has the bucket's name in it.
#[cfg(feature = "s3")]
fn before_host(endpoint: &str, bucket: &str) -> io::Result<String> {
    let mut url = url::Url::parse(endpoint).map_err(io::Error::other)?;
    let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
    url.set_host(Some(&host)).map_err(io::Error::other)?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(not(feature = "s3"))]
fn s3(_: &BucketAddress, _: ClientOptions, _: RetryConfig) -> io::Result<Client> {
    Err(not_built(Provider::S3))
}

#[cfg(feature = "gs")]
fn google(address: &BucketAddress, options: ClientOptions, retry: RetryConfig) -> io::Result<Client> {
    let mut builder = object_store::gcp::GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(address.bucket())
        .with_client_options(options)
        .with_retry(retry);
    if let Some(endpoint) = address.endpoint() {
        builder = builder.with_base_url(endpoint);
    }
    let client = Arc::new(builder.build().map_err(plainly)?);
    Ok((Arc::clone(&client) as _, client))
}

#[cfg(not(feature = "gs"))]
fn google(_: &BucketAddress, _: ClientOptions, _: RetryConfig) -> io::Result<Client> {
    Err(not_built(Provider::Google))
}

#[cfg(feature = "azure")]
fn azure(address: &BucketAddress, options: ClientOptions, retry: RetryConfig) -> io::Result<Client> {
    let mut builder = object_store::azure::MicrosoftAzureBuilder::from_env()
        .with_container_name(address.bucket())
        .with_client_options(options)
        .with_retry(retry);
    if let Some(account) = address.account() {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = address.endpoint() {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    let client = Arc::new(builder.build().map_err(plainly)?);
    Ok((Arc::clone(&client) as _, client))
}

#[cfg(not(feature = "azure"))]
fn azure(_: &BucketAddress, _: ClientOptions, _: RetryConfig) -> io::Result<Client> {
    Err(not_built(Provider::Azure))
}

fn options(address: &BucketAddress, terms: &Terms) -> io::Result<ClientOptions> {
    let mut options = ClientOptions::new()
        .with_connect_timeout(terms.connect)
        .with_timeout(terms.deadline)
        .with_allow_http(address.http() == PlainHttp::Allowed)
        .with_default_content_type(OTHER);
    for (suffix, kind) in TYPES {
        options = options.with_content_type_for_suffix(suffix, kind);
    }
    let Some(file) = address.ca() else {
        return Ok(options);
    };
    let named = |error: String| io::Error::other(format!("ca: {}: {error}", file.display()));
    let pem = fs::read(file).map_err(|error| named(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| named("holds no certificates".to_owned()))?;
    if certificates.is_empty() {
        return Err(named("holds no certificates".to_owned()));
    }
    // That CA alone: one that the system believes has not signed this endpoint's certificate.
    let options = options.with_no_system_certificates(true);
    Ok(certificates
        .into_iter()
        .fold(options, ClientOptions::with_root_certificate))
}

fn retry(terms: &Terms) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: FIRST_WAIT,
            max_backoff: LONGEST_WAIT,
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: terms.patience,
    }
}

/// What is wrong with what was found in the environment: the client's own words name the variable or the file, and no secret.
#[cfg(any(feature = "s3", feature = "gs", feature = "azure"))]
fn plainly(error: object_store::Error) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(not(all(feature = "s3", feature = "gs", feature = "azure")))]
fn not_built(provider: Provider) -> io::Error {
    io::Error::other(provider.left_out().unwrap_or_default())
}

#[cfg(all(test, feature = "s3"))]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_stands_before_the_host_where_that_is_its_style() {
        let named = |endpoint| before_host(endpoint, "pictures").unwrap();
        assert_eq!(named("https://s3.test:9000/"), "https://pictures.s3.test:9000");
        assert_eq!(named("https://s3.test"), "https://pictures.s3.test");
    }
}

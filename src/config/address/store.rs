//! Where a store is: a folder, or a bucket with what must be known of it. `[pure]`
//!
//! `file:DIR` and `s3://BUCKET/PREFIX` are texts; a bucket that needs more is a table with `at` and the rest. No key holds a secret: credentials
//! come from the environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::hide;
use super::http::is_loopback;
use crate::config::optional;
use crate::job::check_key;

/// A store of uploads, renditions or specimens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// `file:DIR`
    File(PathBuf),
    /// `s3://BUCKET/PREFIX`, `gs://…`, `az://…`
    Bucket(Box<BucketAddress>),
}

/// A bucket, and a prefix of all keys in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketAddress {
    provider: Provider,
    bucket: String,
    prefix: String,
    settings: Settings,
}

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon, or who is compatible with it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage, where buckets are called containers.
    Azure,
}

/// Where a bucket's name stands in its URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// In the path.
    #[default]
    Path,
    /// Before the host's name.
    Host,
}

/// Whether a bucket may be spoken to without encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlainHttp {
    /// Only on this host's own loopback.
    #[default]
    Refused,
    /// Wherever it is.
    Allowed,
}

/// What a table says beside `at`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Settings {
    /// `https://HOST:PORT`; none: the provider's.
    endpoint: Option<String>,
    /// Region of S3; none: that of the environment, or us-east-1.
    region: Option<String>,
    /// Storage account of Azure; none: that of the environment.
    account: Option<String>,
    /// Where the bucket's name stands; S3 only.
    style: Style,
    /// Whether an endpoint elsewhere may be spoken to without encryption.
    http: PlainHttp,
    /// PEM file of the CA that signed the endpoint's certificate; none: the system's.
    ca: Option<PathBuf>,
}

/// The table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    at: String,
    #[serde(default, with = "optional")]
    endpoint: Option<String>,
    #[serde(default, with = "optional")]
    region: Option<String>,
    #[serde(default, with = "optional")]
    account: Option<String>,
    #[serde(default)]
    style: Style,
    #[serde(default)]
    http: PlainHttp,
    #[serde(default, with = "optional")]
    ca: Option<PathBuf>,
}

impl StoreAddress {
    /// The schemes that are understood, for errors.
    const SCHEMES: &'static str = "file:DIR, s3://BUCKET/PREFIX, gs://… or az://…";

    /// The folder, where it is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(folder) => Some(folder),
            Self::Bucket(_) => None,
        }
    }

    /// The bucket, where it is one.
    pub fn bucket(&self) -> Option<&BucketAddress> {
        match self {
            Self::File(_) => None,
            Self::Bucket(bucket) => Some(bucket),
        }
    }

    /// Paths that are named, to be changed.
    pub(in crate::config) fn file(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::File(folder) => Some(folder),
            Self::Bucket(bucket) => bucket.settings.ca.as_mut(),
        }
    }
}

impl BucketAddress {
    /// Whose it is.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Its name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What stands before all keys, without a slash at either end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where it is asked for; none: at the provider's.
    pub fn endpoint(&self) -> Option<&str> {
        self.settings.endpoint.as_deref()
    }

    /// Its region, where one is named.
    pub fn region(&self) -> Option<&str> {
        self.settings.region.as_deref()
    }

    /// Its account, where one is named.
    pub fn account(&self) -> Option<&str> {
        self.settings.account.as_deref()
    }

    /// Where its name stands.
    pub fn style(&self) -> Style {
        self.settings.style
    }

    /// Whether it may be spoken to without encryption: where that was allowed, or the endpoint is this host.
    pub fn http(&self) -> PlainHttp {
        match self.endpoint().and_then(|endpoint| Url::parse(endpoint).ok()) {
            Some(url) if url.scheme() == "http" => PlainHttp::Allowed,
            _ => PlainHttp::Refused,
        }
    }

    /// The file of its CA, where one is named.
    pub fn ca(&self) -> Option<&Path> {
        self.settings.ca.as_deref()
    }

    /// Whether what is written to the one would be found in the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let same = self.provider == other.provider
            && self.bucket == other.bucket
            && self.endpoint() == other.endpoint()
            && self.account() == other.account();
        let within = |inner: &str, outer: &str| {
            outer.is_empty() || inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
        };
        same && (within(&self.prefix, &other.prefix) || within(&other.prefix, &self.prefix))
    }

    fn with(mut self, settings: Settings) -> Result<Self, String> {
        if let Some(endpoint) = &settings.endpoint {
            check_endpoint(endpoint, settings.http)?;
        }
        if settings.ca.is_some() && settings.endpoint.is_none() {
            return Err(
                "ca is given without endpoint: the provider's own certificates are signed by public CAs".to_owned(),
            );
        }
        let only = |key: &str, provider: &str| Err(format!("{key} is for {provider} only; {self} is none"));
        if self.provider != Provider::S3 && settings.region.is_some() {
            return only("region", "s3://");
        }
        if self.provider != Provider::S3 && settings.style != Style::default() {
            return only("style", "s3://");
        }
        if self.provider != Provider::Azure && settings.account.is_some() {
            return only("account", "az://");
        }
        self.settings = settings;
        Ok(self)
    }
}

impl Provider {
    /// What to build with, where this build knows no such buckets.
    #[must_use]
    pub fn left_out(self) -> Option<String> {
        let (feature, built) = match self {
            Self::S3 => ("s3", cfg!(feature = "s3")),
            Self::Google => ("gs", cfg!(feature = "gs")),
            Self::Azure => ("azure", cfg!(feature = "azure")),
        };
        (!built).then(|| format!("this build knows no such buckets; build with `--features {feature}`"))
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Google => "gs://",
            Self::Azure => "az://",
        }
    }
}

/// An endpoint is told in logs and errors: nothing that could be a secret has a place in it.
fn check_endpoint(endpoint: &str, http: PlainHttp) -> Result<(), String> {
    let url = Url::parse(endpoint).map_err(|error| format!("endpoint is no URL: {error}; write https://HOST:PORT"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("endpoint holds more than https://HOST:PORT; credentials come from the environment".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if http == PlainHttp::Allowed || stays_here(&url) => Ok(()),
        "http" => Err(format!(
            "endpoint is {endpoint}: whoever is on the way would read uploads and could change them; write https://, or http = \"allowed\""
        )),
        other => Err(format!("endpoint has the scheme {other:?}; write https://HOST:PORT")),
    }
}

/// Who runs a store to try something out, calls it by that name.
fn stays_here(url: &Url) -> bool {
    is_loopback(url) || url.host_str() == Some("localhost")
}

impl FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("file:") {
            Some("") => return Err(format!("{text:?} names no path; write {}", Self::SCHEMES)),
            Some(path) => return Ok(Self::File(PathBuf::from(path))),
            None => {}
        }
        let providers = [Provider::S3, Provider::Google, Provider::Azure];
        let found = providers
            .into_iter()
            .find_map(|provider| Some((provider, text.strip_prefix(provider.scheme())?)));
        let Some((provider, rest)) = found else {
            return Err(format!(
                "{:?} is not an address of this version; write {}",
                hide(text),
                Self::SCHEMES
            ));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if !(3..=222).contains(&bucket.len()) || !bucket.chars().all(legal) {
            return Err(format!(
                "{:?} names no bucket: 3 or more of a–z, 0–9, '-', '_' and '.'; credentials come from the environment",
                hide(text)
            ));
        }
        if !prefix.is_empty() {
            check_key(prefix).map_err(|why| why.replace("source.key", "the prefix"))?;
        }
        Ok(Self::Bucket(Box::new(BucketAddress {
            provider,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            settings: Settings::default(),
        })))
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(folder) => write!(f, "file:{}", folder.display()),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.provider.scheme(), self.bucket)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

impl TryFrom<Table> for StoreAddress {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let settings = Settings {
            endpoint: table.endpoint,
            region: table.region,
            account: table.account,
            style: table.style,
            http: table.http,
            ca: table.ca,
        };
        match table.at.parse()? {
            Self::Bucket(bucket) => bucket.with(settings).map(|bucket| Self::Bucket(Box::new(bucket))),
            Self::File(_) if settings == Settings::default() => table.at.parse(),
            Self::File(_) => Err(format!("{} is a folder: it has no settings", table.at)),
        }
    }
}

impl<'a> Deserialize<'a> for StoreAddress {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'a> Visitor<'a> for TextOrTable {
            type Value = StoreAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or a table with `at`", StoreAddress::SCHEMES)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StoreAddress, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<StoreAddress, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                table.try_into().map_err(A::Error::custom)
            }
        }

        from.deserialize_any(TextOrTable)
    }
}

impl Serialize for StoreAddress {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bucket(bucket) if bucket.settings != Settings::default() => {
                let settings = bucket.settings.clone();
                let table = Table {
                    at: self.to_string(),
                    endpoint: settings.endpoint,
                    region: settings.region,
                    account: settings.account,
                    style: settings.style,
                    http: settings.http,
                    ca: settings.ca,
                };
                table.serialize(to)
            }
            _ => to.serialize_str(&self.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StoreAddress, String> {
        #[derive(Deserialize)]
        struct Line {
            store: StoreAddress,
        }
        let line: Result<Line, _> = toml::from_str(&format!("store = {text}"));
        line.map(|line| line.store).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn addresses_survive_being_written() {
        for text in [
            "file:./uploads",
            "s3://acme-uploads",
            "s3://acme-uploads/2026/in",
            "gs://pictures",
            "az://container/p",
        ] {
            assert_eq!(text.parse::<StoreAddress>().unwrap().to_string(), text);
            assert_eq!(read(&format!("{text:?}")).unwrap().to_string(), text);
        }
        let table = r#"{ at = "s3://b12/p/", endpoint = "https://minio:9000", region = "here", style = "host", ca = "ca.pem" }"#;
        let store = read(table).unwrap();
        let again: StoreAddress = serde_json::from_value(serde_json::json!(store)).unwrap();
        assert_eq!((&store, store.to_string().as_str()), (&again, "s3://b12/p"));
        let bucket = store.bucket().unwrap();
        assert_eq!(
            (bucket.prefix(), bucket.style(), bucket.http()),
            ("p", Style::Host, PlainHttp::Refused)
        );
    }

    #[test]
    fn what_does_not_fit_is_said_with_the_way_out() {
        for (text, part) in [
            ("\"s3://\"", "names no bucket"),
            ("\"s3://Acme\"", "names no bucket"),
            ("\"s3://KEY:secret@bucket\"", "credentials come from the environment"),
            ("\"s3://bucket/../other\"", "the prefix"),
            ("\"http://bucket\"", "write file:DIR, s3://BUCKET/PREFIX"),
            ("3", "or a table with `at`"),
            (r#"{ endpoint = "https://h" }"#, "missing field `at`"),
            (
                r#"{ at = "s3://bucket", endpont = "https://h" }"#,
                "unknown field `endpont`",
            ),
            (
                r#"{ at = "s3://bucket", endpoint = "http://10.0.0.1:9000" }"#,
                "http = \"allowed\"",
            ),
            (
                r#"{ at = "s3://bucket", endpoint = "https://k:secret@h" }"#,
                "credentials come from the environment",
            ),
            (
                r#"{ at = "s3://bucket", endpoint = "ftp://h" }"#,
                "write https://HOST:PORT",
            ),
            (r#"{ at = "s3://bucket", account = "a" }"#, "account is for az:// only"),
            (r#"{ at = "gs://bucket", region = "a" }"#, "region is for s3:// only"),
            (r#"{ at = "az://bucket", style = "host" }"#, "style is for s3:// only"),
            (r#"{ at = "s3://bucket", ca = "ca.pem" }"#, "without endpoint"),
            (r#"{ at = "file:./x", region = "a" }"#, "is a folder"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(part) && !why.contains("secret"), "{text}: {why}");
        }
    }

    #[test]
    fn plain_http_is_for_this_host_unless_it_is_allowed() {
        for (text, http) in [
            (
                r#"{ at = "s3://bucket", endpoint = "http://127.0.0.1:9000" }"#,
                PlainHttp::Allowed,
            ),
            (
                r#"{ at = "s3://bucket", endpoint = "http://[::1]:9000" }"#,
                PlainHttp::Allowed,
            ),
            (
                r#"{ at = "s3://bucket", endpoint = "http://localhost" }"#,
                PlainHttp::Allowed,
            ),
            (
                r#"{ at = "s3://bucket", endpoint = "http://minio", http = "allowed" }"#,
                PlainHttp::Allowed,
            ),
            (
                r#"{ at = "s3://bucket", endpoint = "https://minio", http = "allowed" }"#,
                PlainHttp::Refused,
            ),
            (r#""s3://bucket""#, PlainHttp::Refused),
        ] {
            assert_eq!(read(text).unwrap().bucket().unwrap().http(), http, "{text}");
        }
        assert!(read(r#"{ at = "s3://bucket", endpoint = "http://127.0.0.1.evil.test" }"#).is_err());
    }

    #[test]
    fn prefixes_lie_inside_each_other_by_whole_parts() {
        let overlap = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| text.parse::<StoreAddress>().unwrap());
            one.bucket().unwrap().overlaps(other.bucket().unwrap())
        };
        assert!(overlap("s3://bucket", "s3://bucket/a") && overlap("s3://bucket/a/b", "s3://bucket/a"));
        assert!(overlap("s3://bucket/a", "s3://bucket/a/"));
        assert!(!overlap("s3://bucket/a", "s3://bucket/ab") && !overlap("s3://bucket", "gs://bucket"));
    }
}

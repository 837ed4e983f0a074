//! `[traces]`: where traces go. `[pure]`
//!
//! Absent on purpose: what the collector asks for as a secret. It comes by `OTEL_EXPORTER_OTLP_HEADERS`, and is in no file and no error.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{CollectorAddress, Config, Tls, optional};

/// Longest name of a service, in characters.
const SERVICE: usize = 255;

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// The collector, asked by OTLP over HTTP; none: traces go nowhere.
    #[serde(with = "optional")]
    pub endpoint: Option<CollectorAddress>,
    /// PEM file of the CA that signed the collector's certificate; none: the system's.
    #[serde(with = "optional")]
    pub ca: Option<PathBuf>,
    /// What workers are called in traces (`service.name`), 1 to 255 characters.
    pub service: String,
    /// Of the jobs that come without a trace, one in so many begins one; 0: none. Where a job comes with one, its publisher has decided.
    pub one_in: u32,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            ca: None,
            service: "lazaret".to_owned(),
            one_in: 1,
        }
    }
}

/// The first contradiction, with the way out.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let traces = &config.traces;
    let length = traces.service.chars().count();
    if !(1..=SERVICE).contains(&length) || traces.service.chars().any(char::is_control) {
        return Some(format!(
            "traces.service has {length} characters, or some that do not print; write 1 to {SERVICE}"
        ));
    }
    let endpoint = traces.endpoint.as_ref()?;
    if !cfg!(feature = "otel") {
        return Some(format!(
            "traces.endpoint is {endpoint}, and this program was built without the feature `otel`, which sends traces; build it with \
             `--features otel`, or leave traces.endpoint empty"
        ));
    }
    let useless = traces.ca.is_some() && endpoint.tls() == Tls::Off;
    useless.then(|| format!("traces.ca is given, but {endpoint} is not encrypted; write https://, or drop traces.ca"))
}

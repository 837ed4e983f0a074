//! A build that sends no traces: nobody ever listens.

use std::sync::Arc;

use tracing::Span;
use tracing_subscriber::{Layer, Registry};

use crate::broker::Envelope;
use crate::config::{ConfigError, TracesConfig};
use crate::vitals::Vitals;

/// What sends traces: there is none.
#[derive(Debug)]
pub enum Traces {}

impl Traces {
    /// Nothing can be wrong: a configuration that names a collector is refused as such.
    ///
    /// # Errors
    /// None.
    pub fn look(_: &TracesConfig) -> Result<(), ConfigError> {
        Ok(())
    }

    /// None.
    ///
    /// # Errors
    /// None.
    pub fn start(_: &TracesConfig, _: &Arc<Vitals>) -> Result<Option<Self>, ConfigError> {
        Ok(None)
    }

    pub(crate) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        match *self {}
    }

    /// There is nothing to finish.
    pub fn finish(&self) {
        match *self {}
    }
}

pub(super) fn adopt(_: &Span, _: &mut Envelope) {}

pub(super) fn traceparent(_: &Span) -> Option<String> {
    None
}

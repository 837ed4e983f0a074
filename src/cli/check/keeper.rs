//! Who would restart this process, and what it gives: as far as environment, cgroups and systemd tell.

use std::env;
use std::path::Path;

use super::super::Failure;
use crate::config::Config;
use crate::supervisor::{Given, Name, cgroup, systemd};

/// The supervisor of a worker here; or of the unit that is named.
///
/// # Errors
/// systemd knows no such unit, or there is none to ask.
pub(super) fn of(unit: Option<&str>, config: &Config) -> Result<Given, Failure> {
    if let Some(unit) = unit {
        // The unit's cgroup is not that of this process.
        return systemd::ask(unit).map_err(|error| Failure::Other(format!("--unit {unit}: {error}")));
    }
    let given = systemd::ask_of_own().unwrap_or_else(|| Given::by(name()));
    let configured = Some(config.worker.grace).filter(|grace| !grace.is_zero());
    Ok(cgroup::look(Given {
        grace: given.grace.or(configured),
        ..given
    }))
}

/// Who it is, as far as the environment tells.
fn name() -> Name {
    let set = |name: &str| env::var_os(name).is_some();
    if set("KUBERNETES_SERVICE_HOST") {
        return Name::Kubernetes;
    }
    if ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|mark| Path::new(mark).exists())
    {
        return Name::ContainerEngine;
    }
    if set("INVOCATION_ID") || set("NOTIFY_SOCKET") {
        return Name::Systemd(None);
    }
    let parent = std::os::unix::process::parent_id();
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
    Name::Unknown(match name.trim() {
        "" => "process 1".to_owned(),
        name => name.to_owned(),
    })
}

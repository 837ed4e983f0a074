//! Sense across fields: what no single field can know. `[pure]`

use std::time::Duration;

use super::{Address, Config};
use crate::sandbox::limits::PREFLIGHT_MEMORY;

/// The first contradiction between settings, with the keys, the values and the way out.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let limits = &config.limits;
    if limits.memory < PREFLIGHT_MEMORY {
        return Some(format!(
            "limits.memory is {}, headers alone may need {PREFLIGHT_MEMORY}",
            limits.memory
        ));
    }
    if limits.cpu < limits.cpu_base {
        return Some(format!(
            "limits.cpu ({}) is less than limits.cpu_base ({}); raise the first or lower the second",
            humantime::format_duration(limits.cpu),
            humantime::format_duration(limits.cpu_base)
        ));
    }
    if limits.frame_pixels < limits.pixels {
        return Some(format!(
            "limits.frame_pixels ({}) is less than limits.pixels ({}): no upload of that size could have a single frame",
            limits.frame_pixels, limits.pixels
        ));
    }
    let positive = [
        ("limits.pixels", limits.pixels),
        ("limits.scans", limits.scans),
        ("limits.directories", limits.directories),
        ("limits.strips", limits.strips),
        ("limits.wall_per_cpu", u64::from(limits.wall_per_cpu)),
        ("limits.input", limits.input.as_u64()),
        ("limits.output", limits.output.as_u64()),
    ];
    if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
        return Some(format!("{key} is 0: nothing could be converted"));
    }
    if limits.cpu_base < Duration::from_millis(100) {
        return Some("limits.cpu_base is under 100 ms, less than starting a child may take on a busy host".to_owned());
    }
    if config.worker.slots > 1024 {
        return Some(format!("worker.slots is {}, at most 1024", config.worker.slots));
    }
    shared_folder(config)
}

/// Uploads, renditions and specimens must not lie in one folder: what is written would be read as an upload.
fn shared_folder(config: &Config) -> Option<String> {
    let stores: Vec<_> = config.stores.iter().collect();
    for (index, (name, address)) in stores.iter().enumerate() {
        for (other, address_of_other) in &stores[index + 1..] {
            if address.path() == address_of_other.path() {
                return Some(format!(
                    "stores.{name} and stores.{other} are the same folder, {}",
                    address.path().display()
                ));
            }
        }
    }
    None
}

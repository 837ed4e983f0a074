//! Sense across fields: what no single field can know. `[pure]`

use std::fmt::Display;
use std::time::Duration;

use bytesize::ByteSize;

use super::{Config, WorkerConfig, amqp, buckets, desk, notices, postgres, traces};
use crate::job;
use crate::sandbox::limits::PREFLIGHT_MEMORY;
use crate::supervisor;

/// The first contradiction between settings, or value that is out of bounds, with the keys, the values and the way out.
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
        ("limits.svg", limits.svg.as_u64()),
        ("limits.elements", limits.elements),
        ("limits.nesting", limits.nesting),
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
    if limits.nesting > NESTING {
        return Some(format!(
            "limits.nesting is {}, at most {NESTING}: a child's stack holds no more",
            limits.nesting
        ));
    }
    if limits.svg > SVG {
        return Some(format!(
            "limits.svg is {}, at most {SVG}: it is counted before memory is granted",
            limits.svg
        ));
    }
    if limits.elements > ELEMENTS {
        return Some(format!(
            "limits.elements is {}, at most {ELEMENTS}: they are counted before memory is granted",
            limits.elements
        ));
    }
    if config.worker.slots > 1024 {
        return Some(format!("worker.slots is {}, at most 1024", config.worker.slots));
    }
    if config.worker.renewals > 1024 {
        return Some(format!("worker.renewals is {}, at most 1024", config.worker.renewals));
    }
    grace(&config.worker)
        .or_else(|| amqp::contradiction(config))
        .or_else(|| desk::contradiction(config))
        .or_else(|| notices::contradiction(config))
        .or_else(|| postgres::contradiction(config))
        .or_else(|| traces::contradiction(config))
        .or_else(|| buckets::contradiction(config))
        .or_else(|| tenants(config))
        .or_else(|| out_of_bounds(config))
}

/// A drain that is cut short: what runs then would be taken for lost.
fn grace(worker: &WorkerConfig) -> Option<String> {
    let needed = supervisor::enough_for(worker.drain);
    let short = !worker.grace.is_zero() && worker.grace < needed;
    short.then(|| {
        format!(
            "worker.grace is {}, worker.drain takes {} of it, and signing off up to {}; raise the first, here and where the supervisor has \
             it, or lower worker.drain",
            humantime::format_duration(worker.grace),
            humantime::format_duration(worker.drain),
            humantime::format_duration(supervisor::SIGNING_OFF)
        )
    })
}

/// The first tenant with a name that no job can have, or with a limit that is out of bounds.
fn tenants(config: &Config) -> Option<String> {
    config.tenants.iter().find_map(|(name, some)| {
        if let Err(problem) = job::check_name("[tenants]", name) {
            return Some(problem);
        }
        let key = |key: &str| format!("tenants.{name}.{key}");
        let counts = [
            ("jobs_per_minute", some.jobs_per_minute),
            ("cpu_seconds_per_minute", some.cpu_seconds_per_minute),
            ("in_flight", some.in_flight.map(u64::from)),
            ("queued", some.queued),
        ];
        let counts = counts.map(|(name, count)| (key(name), count.unwrap_or(0)));
        let sizes = [(key("bytes_per_day"), some.bytes_per_day.unwrap_or_default())];
        over(&counts, COUNT, |count| count.to_string()).or_else(|| over(&sizes, SIZE, |size| size.to_string()))
    })
}

/// Deepest nesting that a renderer's recursion and a stack of 8 MiB bear.
const NESTING: u64 = 128;
/// Largest SVG, and most elements, whose document fits into the memory before the grant.
const SVG: ByteSize = ByteSize::mib(8);
const ELEMENTS: u64 = 50_000;
/// Largest size.
const SIZE: ByteSize = ByteSize::tib(1);
/// Largest count.
const COUNT: u64 = 1 << 40;
/// Longest time.
const TIME: Duration = Duration::from_secs(24 * 3600);
/// Most wall time per CPU time.
const WALL_PER_CPU: u32 = 1000;

/// The first value so large that sums and products of it would not fit; no host has use for one.
fn out_of_bounds(config: &Config) -> Option<String> {
    let limits = &config.limits;
    let counts = [
        ("limits.pixels", limits.pixels),
        ("limits.frame_pixels", limits.frame_pixels),
        ("limits.scans", limits.scans),
        ("limits.directories", limits.directories),
        ("limits.strips", limits.strips),
        ("limits.avif_pixels", limits.avif_pixels),
    ];
    let sizes = [
        ("limits.input", limits.input),
        ("limits.inflated_metadata", limits.inflated_metadata),
        ("limits.memory", limits.memory),
        ("limits.output", limits.output),
        ("specimens.bytes", config.specimens.bytes),
        ("renditions.bytes", config.renditions.bytes),
    ];
    let times = [
        ("limits.cpu_base", limits.cpu_base),
        ("limits.cpu_per_megapixel", limits.cpu_per_megapixel),
        ("limits.cpu", limits.cpu),
        ("limits.wall_base", limits.wall_base),
        ("limits.preflight_wall", limits.preflight_wall),
        ("limits.admission_wait", limits.admission_wait),
        ("worker.drain", config.worker.drain),
        ("worker.grace", config.worker.grace),
    ];
    let ratios = [("limits.wall_per_cpu", limits.wall_per_cpu)];
    over(&counts, COUNT, |count| count.to_string())
        .or_else(|| over(&sizes, SIZE, |size| size.to_string()))
        .or_else(|| over(&times, TIME, |time| humantime::format_duration(time).to_string()))
        .or_else(|| over(&ratios, WALL_PER_CPU, |ratio| ratio.to_string()))
}

fn over<T: PartialOrd + Copy>(values: &[(impl Display, T)], most: T, written: impl Fn(T) -> String) -> Option<String> {
    let (key, value) = values.iter().find(|(_, value)| *value > most)?;
    Some(format!("{key} is {}, at most {}", written(*value), written(most)))
}

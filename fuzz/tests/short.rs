//! The short run: every target takes the stored corpus and changes to it, the same every time.

use std::env;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use lazaret_fuzz::{Target, corpus, mutate};

/// Inputs of each target beside the corpus itself; those that decode take longer.
fn rounds(target: Target) -> usize {
    match target {
        Target::Decode(_) => 300,
        Target::Rows => 500,
        _ => 3_000,
    }
}

/// With `FUZZ_KEEP` set, each input is written down before it is given: for those that end the process.
fn give(target: Target, name: &str, bytes: &[u8]) {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name()));
    if env::var_os("FUZZ_KEEP").is_some() {
        fs::write(&place, bytes).unwrap();
    }
    let told = Told {
        target,
        name,
        bytes,
        place: &place,
    };
    target.take(bytes);
    std::mem::forget(told);
}

/// Says which input broke a promise, and keeps it.
struct Told<'a> {
    target: Target,
    name: &'a str,
    bytes: &'a [u8],
    place: &'a Path,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let kept = fs::write(self.place, self.bytes).is_ok();
        eprintln!(
            "{}: {}; kept: {kept}, {}",
            self.target.name(),
            self.name,
            self.place.display()
        );
    }
}

fn run(target: Target) -> usize {
    let known = corpus::of(target);
    assert!(!known.is_empty(), "{}: no corpus", target.name());
    for (path, bytes) in &known {
        give(target, &path.display().to_string(), bytes);
    }
    let mut rng = Rng::with_seed(0x1a2a_2e70);
    for round in 0..rounds(target) {
        let (path, bytes) = &known[rng.usize(..known.len())];
        let (_, other) = &known[rng.usize(..known.len())];
        let changed = mutate::changed(bytes, other, &mut rng);
        give(target, &format!("change {round}, of {}", path.display()), &changed);
    }
    known.len() + rounds(target)
}

#[test]
fn words_are_read_or_refused() {
    for target in [
        Target::Job,
        Target::Packet,
        Target::Config,
        Target::Headers,
        Target::Rows,
    ] {
        eprintln!("{}: {} inputs", target.name(), run(target));
    }
}

#[test]
fn headers_declare_within_limits_or_are_refused() {
    for target in Target::all() {
        if matches!(target, Target::Preflight(_)) {
            eprintln!("{}: {} inputs", target.name(), run(target));
        }
    }
}

#[test]
fn what_is_decoded_is_what_was_declared() {
    for target in Target::all() {
        if matches!(target, Target::Decode(_)) {
            eprintln!("{}: {} inputs", target.name(), run(target));
        }
    }
}

//! The long run of one target, by libFuzzer: `FUZZ_TARGET=preflight-png fuzz FOLDER…`.
#![no_main]

use std::sync::OnceLock;

use lazaret_fuzz::Target;
use libfuzzer_sys::{Corpus, fuzz_target};

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    *TARGET.get_or_init(|| {
        let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let found = Target::all().into_iter().find(|target| target.name() == wanted);
        found.unwrap_or_else(|| {
            eprintln!(
                "FUZZ_TARGET is one of: {}",
                Target::all()
                    .iter()
                    .map(|target| target.name())
                    .collect::<Vec<_>>()
                    .join(" ")
            );
            std::process::exit(2)
        })
    })
}

// Looked up before libFuzzer begins, which takes a program that ends later for a finding.
fuzz_target!(init: target(), |bytes: &[u8]| -> Corpus {
    match target().take(bytes) {
        true => Corpus::Keep,
        false => Corpus::Reject,
    }
});

//! Where the time of one conversion goes, stage by stage, beside what libjpeg-turbo takes to decode the entropy coding alone: the part that
//! no scaling saves.

use std::time::Duration;

use lazaret::convert;
use lazaret::recipe::Recipe;
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::protocol::Phase;

use super::usage::cpu_time;

const ROUNDS: usize = 31;

/// Prints the table of one upload: medians over the rounds.
pub fn table(upload: &[u8], recipe: &Recipe) {
    let rounds: Vec<[Duration; 4]> = (0..ROUNDS).map(|_| round(upload, recipe)).collect();
    let median = |stage: usize| {
        let mut times: Vec<Duration> = rounds.iter().map(|round| round[stage]).collect();
        times.sort_unstable();
        times[ROUNDS / 2]
    };
    let whole: Duration = (0..4).map(median).sum();
    println!("{:<22} {:>10} {:>7}   (medians of {ROUNDS})", "stage", "CPU", "share");
    for (stage, name) in ["preflight", "decode", "transform", "encode"].into_iter().enumerate() {
        line(name, median(stage), whole);
    }
    line("all", whole, whole);
    if let Some(entropy) = entropy(upload) {
        line("entropy decoder alone", entropy, whole);
    }
}

fn line(name: &str, time: Duration, whole: Duration) {
    let share = time.as_secs_f64() / whole.as_secs_f64() * 100.0;
    println!("{name:<22} {:>7.2} ms {share:>5.0} %", time.as_secs_f64() * 1000.0);
}

fn round(upload: &[u8], recipe: &Recipe) -> [Duration; 4] {
    let limits = Limits::default();
    let mut spent = [Duration::ZERO; 4];
    let (mut stage, mut since) = (0, cpu_time());
    convert::inspect(upload, recipe, &limits).unwrap();
    let mut enter = |next: usize| {
        let now = cpu_time();
        spent[stage] += now - since;
        (stage, since) = (next, now);
    };
    let mut phase = |phase: Phase| {
        enter(match phase {
            Phase::Preflight => 0,
            Phase::Decode => 1,
            Phase::Transform => 2,
            Phase::Encode => 3,
        });
    };
    convert::convert(upload, recipe, &limits, &mut phase, &mut Vec::new()).unwrap();
    enter(0);
    spent
}

/// Reads all coefficients, and does nothing with them.
#[cfg(feature = "turbo")]
#[allow(unsafe_code, reason = "calls into C; a benchmark only")]
fn entropy(upload: &[u8]) -> Option<Duration> {
    use turbojpeg_sys as raw;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let before = cpu_time();
        // SAFETY: all-zero is a valid transform: no region, no callback. The library writes no output where it is told so, and only
        // reads `upload`, whose length it is given; the instance is destroyed once.
        unsafe {
            let mut nothing: raw::tjtransform = std::mem::zeroed();
            nothing.options = raw::TJXOPT_NOOUTPUT as i32;
            let (mut output, mut length) = (std::ptr::null_mut(), 0);
            let instance = raw::tj3Init(raw::TJINIT_TJINIT_TRANSFORM as i32);
            let (bytes, size) = (upload.as_ptr(), upload.len() as _);
            let answer = raw::tj3Transform(instance, bytes, size, 1, &mut output, &mut length, &nothing);
            raw::tj3Destroy(instance);
            if answer != 0 {
                return None;
            }
        }
        times.push(cpu_time() - before);
    }
    times.sort_unstable();
    Some(times[ROUNDS / 2])
}

#[cfg(not(feature = "turbo"))]
fn entropy(_upload: &[u8]) -> Option<Duration> {
    None
}

//! Tables for people; each tells what is wrong in it.

use std::collections::BTreeMap;

use super::manifest::Fixture;
use super::saved::Measured;

type Run = BTreeMap<String, Measured>;

/// A line for each fixture; where not all are asked for, those that were converted or refused within milliseconds are left out.
pub fn fixtures(fixtures: &[Fixture], run: &Run, all: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    println!(
        "{:<58} {:<30} {:>8} {:>8} {:>8}",
        "fixture", "verdict", "CPU", "wall", "peak"
    );
    for fixture in fixtures {
        let (file, seen) = (&fixture.file, &run[&fixture.file]);
        let faults = faults(fixture, seen);
        if all || !faults.is_empty() || seen.cpu_ms.unwrap_or(0) >= 100 || seen.peak_mib() >= 64 {
            let (cpu, wall) = (seen.cpu_ms.unwrap_or(0), seen.wall_ms.unwrap_or(0));
            let verdict = seen.verdict();
            println!(
                "{file:<58} {verdict:<30} {cpu:>5} ms {wall:>5} ms {:>4} MiB",
                seen.peak_mib()
            );
        }
        wrong.extend(faults.into_iter().map(|fault| format!("{file}: {fault}")));
    }
    wrong
}

fn faults(fixture: &Fixture, seen: &Measured) -> Vec<String> {
    let mut faults = Vec::new();
    if seen.verdict() != fixture.verdict() {
        faults.push(format!("{}, should be {}", seen.verdict(), fixture.verdict()));
    }
    let (cpu, peak) = (seen.cpu_ms.unwrap_or(0), seen.peak_mib());
    if cpu > fixture.cpu_ms {
        faults.push(format!("{cpu} ms of CPU, its ceiling is {} ms", fixture.cpu_ms));
    }
    if peak > fixture.memory_mib {
        faults.push(format!("{peak} MiB, its ceiling is {} MiB", fixture.memory_mib));
    }
    faults
}

/// A line for each class: how many, which verdicts, the worst of them.
pub fn classes(fixtures: &[Fixture], run: &Run) {
    let mut classes: BTreeMap<&str, Vec<&Fixture>> = BTreeMap::new();
    for fixture in fixtures {
        classes.entry(&fixture.class).or_default().push(fixture);
    }
    println!(
        "\n{:<26} {:>5} {:>10} {:>10} {:>10}  verdicts",
        "class", "files", "worst CPU", "worst peak", "outside"
    );
    for (class, fixtures) in classes {
        let seen = || fixtures.iter().map(|fixture| &run[&fixture.file]);
        let cpu = seen().filter_map(|one| one.cpu_ms).max().unwrap_or(0);
        let peak = seen().map(Measured::peak_mib).max().unwrap_or(0);
        let outside = fixtures
            .iter()
            .filter(|one| !faults(one, &run[&one.file]).is_empty())
            .count();
        let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
        for one in seen() {
            *verdicts.entry(one.verdict()).or_default() += 1;
        }
        let verdicts: Vec<String> = verdicts
            .iter()
            .map(|(verdict, count)| format!("{count} {verdict}"))
            .collect();
        let count = fixtures.len();
        println!(
            "{class:<26} {count:>5} {cpu:>7} ms {peak:>6} MiB {outside:>10}  {}",
            verdicts.join(", ")
        );
    }
}

/// What differs from a saved run: a changed verdict is wrong, a changed cost is told.
pub fn changes(before: &Run, now: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    println!("\nagainst the saved run");
    for (file, was) in before {
        let Some(is) = now.get(file) else {
            wrong.push(format!("{file}: in the saved run, and not in this one"));
            continue;
        };
        if was.verdict() != is.verdict() {
            wrong.push(format!("{file}: {}, was {}", is.verdict(), was.verdict()));
        }
        let (cpu_was, cpu_is) = (was.cpu_ms.unwrap_or(0), is.cpu_ms.unwrap_or(0));
        // Below that, figures in whole milliseconds say nothing.
        if cpu_was.max(cpu_is) >= 50 && (cpu_is * 4 > cpu_was * 5 || cpu_was * 4 > cpu_is * 5) {
            println!("{file:<58} {cpu_was:>6} → {cpu_is} ms of CPU");
        }
        let (peak_was, peak_is) = (was.peak_mib(), is.peak_mib());
        if peak_was.abs_diff(peak_is) * 4 > peak_was.max(32) {
            println!("{file:<58} {peak_was:>6} → {peak_is} MiB");
        }
    }
    let added = now.keys().filter(|file| !before.contains_key(*file)).count();
    println!("{} fixtures in both, {added} new ones", now.len() - added);
    wrong
}

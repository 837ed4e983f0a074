//! What systemd gives a unit, as `systemctl show` tells it.

use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use super::{Given, Name, Oom, Restart, Term};

/// What is asked for.
const PROPERTIES: &str = "LoadState,ExecStart,TimeoutStopUSec,MemoryMax,TasksMax,KillMode,OOMPolicy,Restart";

/// What it gives a unit that it has loaded.
///
/// # Errors
/// There is no systemd here, it does not answer, or it has no such unit.
pub fn ask(unit: &str) -> io::Result<Given> {
    let mut systemctl = Command::new("systemctl");
    let output = systemctl
        .args(["show", "--property", PROPERTIES, "--", unit])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    match property(&text, "LoadState") {
        Some("loaded") => Ok(read(&text, unit)),
        Some(state) => Err(io::Error::other(format!("systemd says of {unit}: {state}"))),
        None => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(
                said.lines().next().unwrap_or("systemctl says nothing").to_owned(),
            ))
        }
    }
}

/// The unit whose worker this process is, or is run before. None in the unit of somebody else, such as cron's, who runs `check` there.
pub fn ask_of_own() -> Option<Given> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let unit = unit_of(&own)?;
    let output = Command::new("systemctl")
        .args(["show", "--property", "ExecStart", "--", unit])
        .output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    property(&text, "ExecStart")?
        .contains(" serve")
        .then(|| ask(unit).ok())?
}

/// `0::/system.slice/lazaret.service`; on hosts of version 1, in the line of systemd's own hierarchy.
fn unit_of(own: &str) -> Option<&str> {
    let mut paths = own.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controller, path) = rest.split_once(':')?;
        matches!(controller, "" | "name=systemd").then_some(path)
    });
    paths.find_map(|path| path.rsplit('/').find(|part| part.ends_with(".service")))
}

/// Reads what `systemctl show` prints, or the section of a unit's file.
pub fn read(text: &str, unit: &str) -> Given {
    let either = |name: &str, in_files: &str| property(text, name).or_else(|| property(text, in_files));
    Given {
        grace: either("TimeoutStopUSec", "TimeoutStopSec").and_then(time),
        memory: property(text, "MemoryMax").and_then(bytes),
        tasks: property(text, "TasksMax").and_then(|value| value.parse().ok()),
        term: property(text, "KillMode").map(|mode| match mode {
            "control-group" => Term::Everybody,
            _ => Term::Worker,
        }),
        oom: property(text, "OOMPolicy").map(|policy| match policy {
            "continue" => Oom::One,
            _ => Oom::All,
        }),
        restart: property(text, "Restart").map(|when| match when {
            "no" => Restart::Never,
            _ => Restart::Again,
        }),
        ..Given::by(Name::Systemd(Some(unit.to_owned())))
    }
}

fn property<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.map(str::trim).filter(|value| !value.is_empty())
}

/// `1min 30s`; without a unit, seconds.
fn time(value: &str) -> Option<Duration> {
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(value).ok(),
    }
}

/// Bytes, or `3G`, which is in powers of 1024.
fn bytes(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match &value[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_prints_is_read() {
        let shown = "Restart=no\nTimeoutStopUSec=1min 30s\nTasksMax=4915\nMemoryMax=infinity\nOOMPolicy=stop\nKillMode=control-group\n";
        let given = read(shown, "a.service");
        assert_eq!(given.name, Name::Systemd(Some("a.service".to_owned())));
        assert_eq!(
            (given.grace, given.tasks, given.memory),
            (Some(Duration::from_secs(90)), Some(4915), None)
        );
        assert_eq!(
            (given.term, given.oom, given.restart),
            (Some(Term::Everybody), Some(Oom::All), Some(Restart::Never))
        );
    }

    #[test]
    fn the_file_of_a_unit_is_read_and_its_last_word_counts() {
        let file = "[Service]\nTimeoutStopSec=20\nTimeoutStopSec=40\nMemoryMax=3G\nKillMode=mixed\nOOMPolicy=continue\nRestart=always\n";
        let given = read(file, "a.service");
        assert_eq!(
            (given.grace, given.memory),
            (Some(Duration::from_secs(40)), Some(3 << 30))
        );
        assert_eq!(
            (given.term, given.oom, given.restart),
            (Some(Term::Worker), Some(Oom::One), Some(Restart::Again))
        );
        assert_eq!(read("", "a.service").grace, None);
    }

    #[test]
    fn the_unit_is_found_in_both_versions() {
        assert_eq!(unit_of("0::/system.slice/lazaret.service\n"), Some("lazaret.service"));
        assert_eq!(
            unit_of("4:memory:/x\n1:name=systemd:/system.slice/system-lazaret.slice/lazaret@1.service\n0::/\n"),
            Some("lazaret@1.service")
        );
        assert_eq!(unit_of("0::/user.slice/user-0.slice/session-3.scope\n"), None);
    }
}

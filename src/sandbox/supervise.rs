//! One attempt, seen from outside: spawn, watch, grant, reap, judge.
//!
//! The supervisor reads the child's CPU clock, peak memory and waiting time every 10 ms, and its packets as they come ([`run`]). It
//! kills the whole process group on the first limit, and always reaps. It believes nothing that it cannot see for itself.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::admission::Budget;
use crate::clock::Stopwatch;
use crate::sandbox::host::{self, Load};
use crate::sandbox::layers::{LayerReport, Policy};
use crate::sandbox::limits::{Ceiling, Limits};
use crate::sandbox::outcome::{End, Facts, Host, Outcome, OutputCheck, Said, Start, judge};
use crate::sandbox::protocol::{Found, FromChild, Order, Task, ToChild};
use crate::sandbox::{child, control, sys};

mod output;
mod run;

/// Free space that a staging folder must have beside the output of an attempt.
const STAGING_MARGIN: u64 = 16 << 20;

/// Runs attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The program to run as the child: this one. A value, so that nothing depends on a path or an environment variable.
    pub program: PathBuf,
    /// The layers.
    pub policy: Policy,
    /// The limits.
    pub limits: Limits,
    /// Folder for the unlinked output files.
    pub staging: PathBuf,
    /// Memory that all children may use together.
    pub budget: Budget,
}

/// Who watches a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// The supervisor and the kernel.
    Both,
    /// Only the kernel's limits and timers, as if the supervisor had been killed. For drills.
    KernelOnly,
}

/// An ended attempt.
#[derive(Debug)]
pub struct Attempted {
    /// What happened.
    pub outcome: Outcome,
    /// What it was judged by.
    pub facts: Facts,
    /// The layers, as the child reported them before it read anything.
    pub layers: Vec<LayerReport>,
    /// From spawn to READY.
    pub ready_after: Option<Duration>,
    /// What a drill said of itself.
    pub drilled: Option<FromChild>,
    /// The host's load at the end; not read where the child ended well, for nobody is blamed then.
    pub load: Option<Load>,
    /// The output; checked only where the outcome is `Converted`.
    pub output: File,
}

/// A process that has not been reaped; dropping it kills its group and reaps it.
struct Child {
    pid: u32,
    pidfd: AsyncFd<OwnedFd>,
    control: AsyncFd<OwnedFd>,
    spawned: Stopwatch,
    reaped: bool,
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            sys::kill_group(self.pid);
            // The process is being killed, so this returns at once; an error means that there is nothing to reap.
            let _ = sys::reap(self.pid);
        }
    }
}

impl Sandbox {
    /// The sandbox of this program, with a budget of what this host has.
    pub fn new(policy: Policy, limits: Limits, staging: PathBuf) -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            policy,
            limits,
            staging,
            budget: Budget::of_this_host(),
        }
    }

    /// Runs one attempt to its end.
    ///
    /// `upload` must be an unlinked file that nobody writes to any more. When `release` turns true, the child is killed and the
    /// outcome is `Released`.
    ///
    /// # Errors
    /// Only where the staging folder or the process table cannot be used at all; everything else is an outcome.
    pub async fn attempt(
        &self,
        upload: &File,
        task: Task,
        watch: Watch,
        release: watch::Receiver<bool>,
    ) -> io::Result<Attempted> {
        self.attempt_within(None, upload, task, watch, release).await
    }

    /// As [`attempt`](Self::attempt); one that declares more than `ceiling` is ended before its grant, `Declined`.
    ///
    /// # Errors
    /// As [`attempt`](Self::attempt).
    pub async fn attempt_within(
        &self,
        ceiling: Option<Ceiling>,
        upload: &File,
        task: Task,
        watch: Watch,
        release: watch::Receiver<bool>,
    ) -> io::Result<Attempted> {
        let output = control::staged(&self.staging, Vec::new()).await?;
        let recipe = match &task {
            Task::Convert(recipe) => recipe.clone(),
            Task::Drill(_) => control::recipe(),
        };
        let mut ran = match self.spawn(upload, &output, task) {
            Ok(child) => run::to_the_end(self, &recipe, ceiling, child, watch, release).await?,
            Err(error) => run::Ran::not(self, format!("spawn: {error}")),
        };
        let ended_well = matches!(
            (&ran.facts.said, ran.facts.end, ran.facts.killed_for),
            (Said::Done(_), End::Exited(0), None)
        );
        let load = (!ended_well).then(Load::now);
        let allowed = self.limits.output.as_u64();
        ran.facts.output = match (&ran.facts.said, &ran.facts.declared) {
            (Said::Done(made), Some(declared)) => match ran.facts.found.answers(&recipe) {
                true => output::check(&output, made, &recipe, declared, allowed),
                false => OutputCheck::Bad("what was found is not what was asked for".to_owned()),
            },
            // Where the kernel's limit is left out, this is what still tells that there was too much.
            _ => output::check_length(&output, allowed),
        };
        let full = sys::free_space(&output).is_ok_and(|free| free < STAGING_MARGIN / 4);
        ran.facts.host = match &load {
            _ if full => Host::Full,
            Some(load) => host::judge(load, &ran.facts.usage),
            None => Host::Quiet,
        };
        let outcome = judge(&ran.facts);
        let run::Ran {
            facts,
            layers,
            ready_after,
            drilled,
        } = ran;
        Ok(Attempted {
            outcome,
            facts,
            layers,
            ready_after,
            drilled,
            load,
            output,
        })
    }

    /// Starts the child with its three descriptors, and its order waiting in the socket.
    fn spawn(&self, upload: &File, output: &File, task: Task) -> io::Result<Child> {
        let needed = self.limits.output.as_u64() + STAGING_MARGIN;
        let free = sys::free_space(output)?;
        if free < needed {
            let staging = self.staging.display();
            return Err(io::Error::other(format!(
                "{staging} has {free} bytes free, an attempt needs {needed}"
            )));
        }
        let (ours, theirs) = sys::control_pair()?;
        let order = Order {
            policy: self.policy.clone(),
            limits: self.limits.clone(),
            task,
        };
        sys::send(ours.as_fd(), &serde_json::to_vec(&ToChild::Order(Box::new(order)))?)?;
        let spawned = Stopwatch::start();
        // No uid, no gid, no pre_exec: each of them would turn posix_spawn into a fork of this whole process.
        let process = Command::new(&self.program)
            .arg0("lazaret: child")
            .arg(child::ARGUMENT)
            .env_clear()
            .env("RUST_BACKTRACE", "0")
            // Large pages for large blocks, where the host leaves that to programs: page faults were the sandbox's largest cost.
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
            .stdin(Stdio::from(output::reopen_to_read(upload)?))
            .stdout(Stdio::from(output::reopen_to_write(output)?))
            .stderr(Stdio::from(theirs))
            .process_group(0)
            .spawn()?;
        let pid = process.id();
        let watched = sys::pidfd(pid)
            .and_then(sys::watched)
            .and_then(|pidfd| Ok((pidfd, sys::watched(ours)?)));
        match watched {
            Ok((pidfd, control)) => Ok(Child {
                pid,
                pidfd,
                control,
                spawned,
                reaped: false,
            }),
            Err(error) => {
                sys::kill_group(pid);
                sys::reap(pid)?;
                Err(error)
            }
        }
    }
}

impl Facts {
    /// What is known before a child has done anything: had it ended now, it would never have been READY.
    fn at_start(limits: &Limits, why_not: String) -> Self {
        use crate::sandbox::limits::{PREFLIGHT_CPU, PREFLIGHT_MEMORY};
        use crate::sandbox::outcome::Usage;
        use crate::sandbox::{limits::Grant, protocol::Phase};
        Self {
            start: Start::Failed(why_not),
            said: Said::Nothing,
            overruled: None,
            declined: None,
            declared: None,
            found: Found::default(),
            phase: Phase::Preflight,
            memory_record: None,
            end: End::Exited(0),
            killed_for: None,
            grant: Grant {
                memory_bytes: PREFLIGHT_MEMORY.as_u64(),
                cpu_ms: PREFLIGHT_CPU.as_millis() as u64,
                wall_ms: limits.preflight_wall.as_millis() as u64,
            },
            output_allowed: limits.output.as_u64(),
            usage: Usage::default(),
            output: OutputCheck::Good,
            host: Host::Quiet,
        }
    }
}

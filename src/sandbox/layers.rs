//! The lock-down: each layer in its order, between the child's first instruction and the first untrusted byte.
//!
//! In: a [`Policy`], which says what each layer is worth. Out: a [`LayerReport`] per layer, or the name of the required layer that
//! does not hold; the child then ends without having read anything.

use std::fmt;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::sandbox::limits::{self, Limits};
use crate::sandbox::{seccomp, sys};

/// One layer of the sandbox, in the order they are put up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Niceness 10, and first to be killed when memory is short.
    Priority,
    /// Nothing inherited: descriptors, working directory, signal dispositions, dumps.
    Inheritance,
    /// Another user when started as root.
    User,
    /// Kernel limits on memory, CPU time, output, stack and descriptors.
    Rlimits,
    /// Timers that fire even if the supervisor was killed.
    Timers,
    /// No way to gain privileges; no capabilities.
    Privileges,
    /// Own, empty user, network, IPC and UTS namespaces.
    Namespaces,
    /// No path, no TCP, no signal and no abstract socket outside.
    Landlock,
    /// The allow-list of system calls.
    Seccomp,
}

/// What a layer is worth to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Without it, no upload is read.
    Required,
    /// Put up where the host allows it, and reported where not.
    BestEffort,
    /// Left out.
    Off,
}

impl Mode {
    /// Its word, as in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }
}

/// What each layer is worth, and who the child becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Policy {
    /// Descriptors, working directory, signals, dumps.
    pub inheritance: Mode,
    /// Niceness and OOM score.
    pub priority: Mode,
    /// Another user; only where the worker is root.
    pub user: Mode,
    /// Kernel limits.
    pub rlimits: Mode,
    /// Timers.
    pub timers: Mode,
    /// No new privileges, no capabilities.
    pub privileges: Mode,
    /// Namespaces: a default container refuses them.
    pub namespaces: Mode,
    /// Landlock: absent on old kernels and in some sandboxes.
    pub landlock: Mode,
    /// System call filter.
    pub seccomp: Mode,
    /// User id that a root worker's children take.
    pub uid: u32,
    /// Group id that a root worker's children take.
    pub gid: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            inheritance: Mode::Required,
            priority: Mode::BestEffort,
            user: Mode::Required,
            rlimits: Mode::Required,
            timers: Mode::Required,
            privileges: Mode::Required,
            namespaces: Mode::BestEffort,
            landlock: Mode::BestEffort,
            seccomp: Mode::Required,
            uid: 65_534,
            gid: 65_534,
        }
    }
}

/// Whether a layer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "why", deny_unknown_fields)]
pub enum Held {
    /// It does; with what exactly.
    Yes(String),
    /// The host refused it: why.
    No(String),
    /// Left out by configuration.
    Off,
    /// Nothing to do here: why.
    NotApplicable(String),
}

impl Held {
    /// Whether it does.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Yes(_))
    }

    /// Whether it could, and does not: the host refused it, or it was left out.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::No(_) | Self::Off)
    }

    /// Whether it has nothing to do here.
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::NotApplicable(_))
    }
}

/// A layer, its worth, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerReport {
    /// Which layer.
    pub layer: Layer,
    /// What it is worth.
    pub mode: Mode,
    /// Whether it holds.
    pub held: Held,
}

impl Layer {
    /// All layers, in order.
    pub const ALL: [Self; 9] = [
        // First: once dumps are forbidden, /proc/self is root's, and an unprivileged child can no longer write there.
        Self::Priority,
        Self::Inheritance,
        Self::User,
        Self::Rlimits,
        Self::Timers,
        Self::Privileges,
        Self::Namespaces,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// Name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inheritance => "inheritance",
            Self::Priority => "priority",
            Self::User => "user",
            Self::Rlimits => "rlimits",
            Self::Timers => "timers",
            Self::Privileges => "privileges",
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }

    /// What an operator can do about a layer that does not hold.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Inheritance => "needs Linux 5.9 or later (close_range)",
            Self::Priority => "allow setpriority and a writable /proc/self/oom_score_adj",
            Self::User => "start as an unprivileged user, or keep CAP_SETUID and CAP_SETGID",
            Self::Rlimits => {
                "raise the hard limits of the supervisor (ulimit -H, LimitAS=, --ulimit), or lower [limits]"
            }
            Self::Timers => "allow setitimer",
            Self::Privileges => "allow prctl(PR_SET_NO_NEW_PRIVS) and capset",
            Self::Namespaces => {
                "allow user namespaces (kernel.unprivileged_userns_clone, container profile), or make it best-effort"
            }
            Self::Landlock => "needs Linux 5.13 or later with Landlock enabled (lsm=landlock), or make it best-effort",
            Self::Seccomp => "needs CONFIG_SECCOMP_FILTER and a container profile that allows seccomp",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Policy {
    /// What a layer is worth.
    pub fn mode(&self, layer: Layer) -> Mode {
        match layer {
            Layer::Inheritance => self.inheritance,
            Layer::Priority => self.priority,
            Layer::User => self.user,
            Layer::Rlimits => self.rlimits,
            Layer::Timers => self.timers,
            Layer::Privileges => self.privileges,
            Layer::Namespaces => self.namespaces,
            Layer::Landlock => self.landlock,
            Layer::Seccomp => self.seccomp,
        }
    }

    /// The same policy without one layer; for drills that prove the layer below it.
    pub fn without(mut self, layer: Layer) -> Self {
        let mode = match layer {
            Layer::Inheritance => &mut self.inheritance,
            Layer::Priority => &mut self.priority,
            Layer::User => &mut self.user,
            Layer::Rlimits => &mut self.rlimits,
            Layer::Timers => &mut self.timers,
            Layer::Privileges => &mut self.privileges,
            Layer::Namespaces => &mut self.namespaces,
            Layer::Landlock => &mut self.landlock,
            Layer::Seccomp => &mut self.seccomp,
        };
        *mode = Mode::Off;
        self
    }
}

/// Puts up all layers in order. Called once, in the child, before anything of the upload is read.
///
/// # Errors
/// The name of the first required layer that the host refuses, and why.
pub fn lock_down(policy: &Policy, limits: &Limits) -> Result<Vec<LayerReport>, String> {
    let mut reports = Vec::with_capacity(Layer::ALL.len());
    for layer in Layer::ALL {
        let mode = policy.mode(layer);
        let held = match mode {
            Mode::Off => Held::Off,
            Mode::Required | Mode::BestEffort => {
                put_up(layer, policy, limits).unwrap_or_else(|error| Held::No(error.to_string()))
            }
        };
        if let (Mode::Required, Held::No(why)) = (mode, &held) {
            return Err(format!("{layer}: {why}; {}", layer.remedy()));
        }
        reports.push(LayerReport { layer, mode, held });
    }
    Ok(reports)
}

fn put_up(layer: Layer, policy: &Policy, limits: &Limits) -> io::Result<Held> {
    match layer {
        Layer::Inheritance => inheritance(),
        Layer::Priority => priority(),
        Layer::User => user(policy),
        Layer::Rlimits => rlimits(limits),
        Layer::Timers => timers(limits),
        Layer::Privileges => privileges(),
        Layer::Namespaces => namespaces(),
        Layer::Landlock => landlock(),
        Layer::Seccomp => seccomp::install().map(|calls| Held::Yes(format!("{calls} system calls allowed"))),
    }
}

fn inheritance() -> io::Result<Held> {
    // A descriptor that leaked from the supervisor would be a way around everything below.
    sys::close_other_descriptors()?;
    // A working directory pins a mount and makes relative paths mean something.
    std::env::set_current_dir("/")?;
    // An ignored SIGXFSZ or SIGXCPU is inherited across exec and would turn a trip into an odd error.
    sys::default_signals()?;
    // Processes of the same user could otherwise attach to the child, and cores would hold uploads.
    sys::forbid_dumps()?;
    Ok(Held::Yes("descriptors 0 to 2, cwd /, no dumps".to_owned()))
}

fn priority() -> io::Result<Held> {
    // The worker, the broker and an admin's shell come first.
    sys::set_niceness(10)?;
    // When the host runs out of memory, the kernel takes a child before anything else.
    fs::write("/proc/self/oom_score_adj", "1000")?;
    Ok(Held::Yes("nice 10, oom_score_adj 1000".to_owned()))
}

fn user(policy: &Policy) -> io::Result<Held> {
    let user = sys::effective_user();
    if user != 0 {
        return Ok(Held::NotApplicable(format!("already unprivileged, uid {user}")));
    }
    sys::become_user(policy.uid, policy.gid)?;
    // Changing the user makes a process dumpable again by the system's default.
    sys::forbid_dumps()?;
    Ok(Held::Yes(format!("uid {}, gid {}", policy.uid, policy.gid)))
}

fn rlimits(limits: &Limits) -> io::Result<Held> {
    use rlimit::Resource;
    let ceiling = limits.ceiling();
    // The allocator refuses first, and exactly; these stand behind it, and before C libraries.
    let data = ceiling.memory_bytes + limits::RESIDENT_MARGIN.as_u64();
    let space = data + limits.input.as_u64() + limits::ADDRESS_MARGIN.as_u64();
    // Whole seconds, rounded up, so that the timers fire first; hard is one more, or the trip would be a bare SIGKILL.
    let cpu = ceiling.cpu_ms.div_ceil(1000) + 1;
    let wanted = [
        (Resource::DATA, data, data),
        (Resource::AS, space, space),
        (Resource::CPU, cpu, cpu + 1),
        (Resource::FSIZE, limits.output.as_u64(), limits.output.as_u64()),
        (Resource::STACK, limits::STACK.as_u64(), limits::STACK.as_u64()),
        // 0, 1, 2 and the one that Landlock's rule set needs for a moment.
        (Resource::NOFILE, 4, 4),
        (Resource::CORE, 0, 0),
    ];
    for (resource, soft, hard) in wanted {
        // A hard limit below the ceiling would trip honest uploads: that is the host's fault, and is said before any is read.
        let (_, host) = resource.get()?;
        if host < soft {
            let name = resource.as_name();
            return Err(io::Error::other(format!(
                "the host's hard {name} is {host}, the limits need {soft}"
            )));
        }
        resource.set(soft, hard.min(host))?;
    }
    Ok(Held::Yes(format!(
        "DATA {} MiB, CPU {cpu} s, FSIZE {} MiB",
        data >> 20,
        limits.output.as_u64() >> 20
    )))
}

fn timers(limits: &Limits) -> io::Result<Held> {
    let (cpu, wall) = limits.timers();
    sys::arm(sys::Timer::Prof, cpu)?;
    sys::arm(sys::Timer::Real, wall)?;
    Ok(Held::Yes(format!(
        "CPU {} ms, wall {} ms",
        cpu.as_millis(),
        wall.as_millis()
    )))
}

fn privileges() -> io::Result<Held> {
    sys::forbid_new_privileges()?;
    sys::drop_capabilities()?;
    Ok(Held::Yes("no_new_privs, no capabilities".to_owned()))
}

fn namespaces() -> io::Result<Held> {
    sys::leave_namespaces()?;
    // A new user namespace comes with all capabilities inside it.
    sys::drop_capabilities()?;
    Ok(Held::Yes("user, net, ipc, uts".to_owned()))
}

fn landlock() -> io::Result<Held> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope,
    };
    let newest = ABI::V6;
    // No rule follows: what is handled and not allowed is refused.
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(newest)))
        .and_then(|rules| rules.scope(Scope::from_all(newest)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self())
        .map_err(io::Error::other)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(Held::Yes("no path, no TCP, scoped signals".to_owned())),
        RulesetStatus::PartiallyEnforced => Ok(Held::Yes("no path; this kernel lacks TCP or scopes".to_owned())),
        RulesetStatus::NotEnforced => Ok(Held::No("the kernel has no Landlock".to_owned())),
    }
}

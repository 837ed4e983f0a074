//! The child's life, straight down: order, lock-down, READY, headers, grant, conversion, DONE.
//!
//! Comes in as descriptors 0 (the upload), 1 (the output) and 2 (the control socket). One thread; nothing is opened, ever.

use std::io::{self, Write};
use std::process::exit;

use crate::convert::{self, Failure, Product};
use crate::recipe::Recipe;
use crate::sandbox::drill::{self, Drill, Parent};
use crate::sandbox::layers;
use crate::sandbox::limits::{Limits, PREFLIGHT_MEMORY};
use crate::sandbox::protocol::{Declaration, Found, FromChild, MAX_TO_CHILD, Order, Task, ToChild};
use crate::sandbox::sys::{self, heap};

/// The argument that makes this program a child. It means nothing without the three descriptors.
pub const ARGUMENT: &str = "sandboxed-child";

/// Descriptor of the upload.
pub(super) const UPLOAD: i32 = 0;
/// Descriptor of the output.
pub(super) const OUTPUT: i32 = 1;
/// Descriptor of the control socket.
pub(super) const CONTROL: i32 = 2;

/// Runs the child to its end.
pub fn main() -> ! {
    // From here on every byte counts, and a panic says so in the vocabulary instead of writing prose to the socket.
    heap::arm(PREFLIGHT_MEMORY.as_u64());
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| (place.file(), place.line()));
        if let Some(refusal) = place.and_then(|(file, line)| convert::gave_up(file, line)) {
            end(&FromChild::Refused(refusal));
        }
        say(&FromChild::Panicked(panic.to_string().chars().take(300).collect()));
        std::process::abort();
    }));

    let Some(ToChild::Order(order)) = hear() else {
        exit(2);
    };
    let Order { policy, limits, task } = *order;

    // Conversions do not ask.
    let parent = match task {
        Task::Drill(_) => Some(Parent::look()),
        Task::Convert(_) => None,
    };

    // Nothing of the upload has been touched yet, and nothing is until every required layer holds.
    match layers::lock_down(&policy, &limits) {
        Ok(reports) => say(&FromChild::Ready(reports)),
        Err(why) => {
            say(&FromChild::Unready(why));
            exit(2);
        }
    }

    let last_word = match (task, parent) {
        (Task::Convert(recipe), _) => serve(&recipe, &limits),
        (Task::Drill(drill), Some(parent)) => drilled(drill, parent, &limits),
        (Task::Drill(_), None) => exit(2),
    };
    end(&last_word);
}

/// Says the last word. The supervisor takes its readings while the child still is; then it hangs up.
fn end(last_word: &FromChild) -> ! {
    say(last_word);
    let _ = sys::read(CONTROL, &mut [0; 1]);
    exit(0);
}

fn serve(recipe: &Recipe, limits: &Limits) -> FromChild {
    let upload = match sys::map_for_ever(UPLOAD) {
        Ok(upload) => upload,
        Err(error) => out_of_memory_or(error),
    };
    let declared = match convert::inspect(upload, recipe, limits) {
        Ok(declared) => declared,
        Err(refusal) => return FromChild::Refused(refusal),
    };
    ask(declared);

    let mut output = Output::default();
    let made = convert::convert(
        upload,
        recipe,
        limits,
        &mut |phase| say(&FromChild::Phase(phase)),
        &mut output,
    );
    match made.and_then(|made| output.flush().map(|()| made).map_err(Failure::Output)) {
        Ok(Product { made, found }) => {
            if found != Found::default() {
                say(&FromChild::Found(found));
            }
            FromChild::Done(made)
        }
        Err(Failure::Refused(refusal)) => FromChild::Refused(refusal),
        Err(Failure::OutOfMemory) => out_of_memory(),
        Err(Failure::Output(error)) => last_words("output", &error),
    }
}

/// Declares, and waits for the grant. A supervisor that hangs up ends the child.
fn ask(declared: Declaration) {
    say(&FromChild::Declared(declared));
    match hear() {
        Some(ToChild::Grant(grant)) => heap::allow(grant.memory_bytes),
        _ => exit(0),
    }
}

fn drilled(drill: Drill, parent: Parent, limits: &Limits) -> FromChild {
    let memory_bytes = limits.memory.as_u64();
    let declared = Declaration {
        format: crate::format::Format::Png,
        width: 1,
        height: 1,
        frames: 1,
        channels: 3,
        memory_bytes,
        decode_work: 0,
    };
    if drill == Drill::JumpTheGun {
        say(&FromChild::Declared(declared));
        drill::jump_the_gun();
    } else {
        ask(declared);
    }
    drill::run(drill, parent)
}

/// A C library, or the kernel, refused memory: the same verdict as the allocator's refusal.
fn out_of_memory() -> ! {
    heap::record_refusal(0);
    std::process::abort();
}

fn out_of_memory_or(error: io::Error) -> ! {
    if error.raw_os_error() == Some(libc::ENOMEM) {
        out_of_memory();
    }
    last_words("upload", &error)
}

/// Something failed that nothing can be done about here: the supervisor sees for itself whether the host is to blame.
fn last_words(what: &str, error: &io::Error) -> ! {
    say(&FromChild::Panicked(format!("{what}: {error}")));
    std::process::abort();
}

/// Says one thing. Where the supervisor is gone there is nobody to tell, and the timers end the child.
pub(super) fn say(message: &FromChild) {
    if let Ok(packet) = serde_json::to_vec(message) {
        let _ = sys::write_all(CONTROL, &packet);
    }
}

fn hear() -> Option<ToChild> {
    let mut packet = vec![0; MAX_TO_CHILD];
    let length = sys::read(CONTROL, &mut packet).ok()?;
    serde_json::from_slice(packet.get(..length)?).ok()
}

/// The output, in blocks of 64 KiB.
struct Output(Vec<u8>);

impl Output {
    const BLOCK: usize = 64 * 1024;
}

impl Default for Output {
    fn default() -> Self {
        Self(Vec::with_capacity(Self::BLOCK))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > Self::BLOCK {
            self.flush()?;
        }
        if bytes.len() >= Self::BLOCK {
            sys::write_all(OUTPUT, bytes)?;
        } else {
            self.0.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        sys::write_all(OUTPUT, &self.0)?;
        self.0.clear();
        Ok(())
    }
}

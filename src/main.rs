//! The `lazaret` program: a sandboxed child where it was started as one, the command line otherwise.

use std::process::ExitCode;

use lazaret::sandbox::child;
use lazaret::sandbox::sys::heap::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    // Before anything else, and by its argument alone: a child must not read a configuration or an environment.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == child::ARGUMENT)
    {
        child::main()
    }
    lazaret::cli::main()
}

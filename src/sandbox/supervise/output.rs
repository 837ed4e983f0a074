//! The output file: opened for the child, and checked afterwards without being parsed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crate::format::Format;
use crate::recipe::Recipe;
use crate::sandbox::outcome::OutputCheck;
use crate::sandbox::protocol::{Declaration, Made};

/// The same unlinked file, opened anew and read-only: the child's own position and rights.
pub(super) fn reopen_to_read(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The same unlinked file, opened anew and write-only.
pub(super) fn reopen_to_write(file: &File) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Checks what the child claims against the recipe, the declaration and the file.
pub(super) fn check(
    output: &File,
    made: &[Made],
    recipe: &Recipe,
    declared: &Declaration,
    allowed: u64,
) -> OutputCheck {
    match length(output, made, allowed).and_then(|()| content(output, made, recipe, declared)) {
        Ok(()) => OutputCheck::Good,
        Err(found) => found,
    }
}

/// Checks the length alone, where there is no claim to check.
pub(super) fn check_length(output: &File, allowed: u64) -> OutputCheck {
    match output.metadata() {
        Ok(metadata) if metadata.len() > allowed => OutputCheck::TooLong { bytes: metadata.len() },
        _ => OutputCheck::Good,
    }
}

fn bad<T>(why: String) -> Result<T, OutputCheck> {
    Err(OutputCheck::Bad(why))
}

fn length(output: &File, made: &[Made], allowed: u64) -> Result<(), OutputCheck> {
    let length = match output.metadata() {
        Ok(metadata) => metadata.len(),
        Err(error) => return bad(format!("its length is not to be had: {error}")),
    };
    if length > allowed {
        return Err(OutputCheck::TooLong { bytes: length });
    }
    let claimed = made.iter().try_fold(0u64, |sum, made| sum.checked_add(made.bytes));
    if claimed != Some(length) {
        return bad(format!("{length} bytes written, {claimed:?} claimed"));
    }
    Ok(())
}

fn content(output: &File, made: &[Made], recipe: &Recipe, declared: &Declaration) -> Result<(), OutputCheck> {
    if made.len() != recipe.renditions().len() {
        return bad(format!(
            "{} renditions made, {} asked for",
            made.len(),
            recipe.renditions().len()
        ));
    }
    let mut start = 0;
    for (made, rendition) in made.iter().zip(recipe.renditions()) {
        let name = &rendition.name;
        let format = rendition.output(declared.format);
        let size = rendition.geometry(declared.width, declared.height).canvas;
        if (made.format, made.width, made.height) != (format, size.0, size.1) {
            return bad(format!(
                "{name}: {} {}×{} made, {format} {}×{} asked for",
                made.format, made.width, made.height, size.0, size.1
            ));
        }
        let quality_fits = match made.quality {
            Some(quality) => rendition.is_lossy(format) && (1..=100).contains(&quality),
            None => !rendition.is_lossy(format),
        };
        if !quality_fits {
            return bad(format!("{name}: quality {:?} of a {format}", made.quality));
        }
        let most = match rendition.moves(declared.format, declared.frames) {
            true => declared.frames,
            false => 1,
        };
        if !(1..=most).contains(&made.frames) {
            return bad(format!("{name}: {} frames made, at most {most} expected", made.frames));
        }
        if rendition.max_bytes.is_some_and(|most| made.bytes > most.into()) {
            return bad(format!("{name}: {} bytes, more than max_bytes", made.bytes));
        }
        let mut head = [0; Format::MAGIC_BYTES];
        let wanted = head.len().min(usize::try_from(made.bytes).unwrap_or(usize::MAX));
        if let Err(error) = output.read_exact_at(&mut head[..wanted], start) {
            return bad(format!("{name}: {error}"));
        }
        if Format::sniff(&head[..wanted]) != Some(format) {
            return bad(format!("{name}: its magic bytes are not those of {format}"));
        }
        start += made.bytes;
    }
    Ok(())
}

//! Files that hold a secret: their owner's alone.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Most bytes of a file that are read.
const FILE: u64 = 4096;

/// The text of a file that nobody but its owner may read; nothing where it is no text.
///
/// # Errors
/// In words that go on after the path, and that show nothing of the file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let said = |error: io::Error| error.to_string();
    let file = File::open(path).map_err(said)?;
    if file.metadata().map_err(said)?.permissions().mode() & 0o077 != 0 {
        return Err("others than its owner may read it; chmod 600".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE).read_to_end(&mut bytes).map_err(said)?;
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

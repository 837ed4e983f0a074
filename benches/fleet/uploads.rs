//! Uploads: fixtures, and as many others of the same kind as are needed.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

/// A photo of 512 × 512.
pub const PHOTO: &str = "valid/photos/camera_grey.jpg";
/// A photo that takes longer.
pub const SLOW_PHOTO: &str = "valid/photos/hubble_progressive.jpg";
/// Six seconds of CPU time in 38 kilobytes.
pub const BOMB: &str = "hostile/cpu/tiff_slow_tiles.tiff";
/// A picture of next to nothing.
pub const TINY: &str = "control/control.jpg";

/// A fixture's bytes.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every hostile fixture that is committed, in the order of their names: read once.
pub fn hostile() -> &'static [Vec<u8>] {
    static ALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut files = Vec::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => files.push(path),
                }
            }
        }
        files.sort();
        files.iter().map(|path| fs::read(path).unwrap()).collect()
    })
}

/// The same with a number behind it: another digest, the same work.
pub fn variant(image: &[u8], number: usize) -> Vec<u8> {
    [image, format!("{number:08}").as_bytes()].concat()
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

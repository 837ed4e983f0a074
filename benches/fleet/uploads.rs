//! Uploads: fixtures, and as many others of the same kind as are needed.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use jpeg_encoder::{ColorType, Encoder};
use sha2::{Digest as _, Sha256};
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

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

/// A photo of about so many megapixels, 4 : 3, of the slow one side by side with itself: as much detail to a megapixel, whatever its size.
pub fn photo_of(megapixels: usize) -> Vec<u8> {
    let mut decoder = JpegDecoder::new(ZCursor::new(fixture(SLOW_PHOTO)));
    let pixels = decoder.decode().unwrap();
    let (wide, high) = decoder.dimensions().unwrap();
    let height = ((megapixels * 750_000) as f64).sqrt() as usize;
    let width = height * 4 / 3;
    let mut all = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let row = pixels.chunks_exact(wide * 3).nth(y % high).unwrap();
        all.extend(row.iter().cycle().take(width * 3));
    }
    let mut file = Vec::new();
    let encoder = Encoder::new(&mut file, 90);
    encoder
        .encode(&all, width as u16, height as u16, ColorType::Rgb)
        .unwrap();
    file
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

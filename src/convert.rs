//! Turning an upload into renditions. Runs only in the child, after lock-down; every byte that comes in is hostile.
//!
//! In: the bytes of an upload and a [`Recipe`]. Out: first a [`Declaration`] from the headers alone ([`inspect`]), then, once the
//! supervisor has granted memory and CPU time, the renditions, written one after another ([`convert`]).
//!
//! Absent on purpose: files, sockets, threads, clocks, logs, and any memory of an earlier upload.

mod decode;
mod encode;
mod estimate;
mod orientation;
mod pixels;
mod placeholder;
mod preflight;
#[cfg(test)]
mod samples;
mod scale;
#[cfg(test)]
mod tests;
mod transform;
#[cfg(feature = "turbo")]
mod turbo;

use std::io::{self, Write};
use std::rc::Rc;

use crate::recipe::{Recipe, Rendition};
use crate::sandbox::limits::Limits;
use crate::sandbox::protocol::{Declaration, Found, Made, Phase};
use crate::verdict::{Reason, Refusal};

/// Why a conversion did not end with renditions.
#[derive(Debug)]
pub enum Failure {
    /// A well-formed "no": the file is broken, or of a kind that is not read.
    Refused(Refusal),
    /// A codec could not get the memory it asked for (Rust code does not get here: its allocator ends the child).
    OutOfMemory,
    /// The output could not be written.
    Output(io::Error),
}

/// What a conversion ends with, beside what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The renditions, in the order of the recipe.
    pub made: Vec<Made>,
    /// What else was asked for.
    pub found: Found,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reads headers only: format by magic bytes, size as displayed, frames, and an upper bound of the memory that [`convert`]
/// needs, in bytes of heap (Rust's and that of C libraries together, the upload itself not counted).
///
/// Refuses what is over a limit, with the limit's name, the value seen and the value allowed. One bounded pass: no pixel is
/// decoded, and compressed metadata is inflated only as far as its limit.
pub fn inspect(upload: &[u8], recipe: &Recipe, limits: &Limits) -> Result<Declaration, Refusal> {
    let headers = preflight::examine(upload, limits)?;
    let (width, height) = headers.displayed();
    let scale = decode::scale(&headers, recipe);
    // First the decoder alone, so that what follows counts with sane numbers.
    fits(headers.decode_bytes_at(scale), limits)?;
    let memory_bytes = estimate::peak(&headers, scale, recipe);
    fits(memory_bytes, limits)?;
    Ok(Declaration {
        format: headers.format,
        width,
        height,
        frames: headers.frames,
        memory_bytes,
    })
}

fn fits(memory_bytes: u64, limits: &Limits) -> Result<(), Refusal> {
    let allowed = limits.memory.as_u64();
    if memory_bytes > allowed {
        return Err(Refusal::over(Reason::TooComplex, "memory", memory_bytes, allowed));
    }
    Ok(())
}

/// Decodes once, makes the placeholder and every rendition, writes these one after another to `output`, in the order of the recipe.
///
/// `phase` is told each change of phase; transform and encode alternate. The headers are examined again, so that no caller
/// can convert what [`inspect`] would refuse for its counts.
pub fn convert(
    upload: &[u8],
    recipe: &Recipe,
    limits: &Limits,
    phase: &mut dyn FnMut(Phase),
    output: &mut dyn Write,
) -> Result<Product, Failure> {
    let headers = preflight::examine(upload, limits)?;
    let mut found = Found {
        placeholder: None,
        info: recipe.info().then(|| preflight::info(upload, &headers)),
    };
    let mut made = Vec::with_capacity(recipe.renditions().len());
    if recipe.needs_no_pixels() {
        return Ok(Product { made, found });
    }
    phase(Phase::Decode);
    let scale = decode::scale(&headers, recipe);
    let mut master = decode::decode(upload, &headers, scale, limits)?;
    phase(Phase::Transform);
    if transform::may_premultiply(recipe.renditions(), &headers) {
        master.premultiply();
    }

    // The master goes as soon as the last rendition is cut from it, before that one is encoded.
    let master = Rc::new(master);
    if let Some(kind) = recipe.placeholder() {
        let small = transform::render(Rc::clone(&master), scale, &placeholder::rendition(), &headers, true)?;
        found.placeholder = Some(placeholder::of(kind, small)?);
    }
    let mut master = Some(master);
    for (index, rendition) in recipe.renditions().iter().enumerate() {
        if index > 0 {
            phase(Phase::Transform);
        }
        let format = rendition.format.resolve(headers.format);
        let last = index + 1 == recipe.renditions().len();
        let source = if last { master.take() } else { master.clone() };
        let Some(source) = source else { break };
        let pixels = transform::render(source, scale, rendition, &headers, encode::keeps_alpha(format))?;
        phase(Phase::Encode);
        made.push(write_one(pixels, rendition, format, output)?);
    }
    Ok(Product { made, found })
}

fn write_one(
    pixels: Rc<pixels::Pixels>,
    rendition: &Rendition,
    format: crate::format::Format,
    output: &mut dyn Write,
) -> Result<Made, Failure> {
    let (width, height) = (pixels.width, pixels.height);
    let encoded = encode::encode(pixels, rendition, format, output)?;
    Ok(Made {
        format,
        width,
        height,
        bytes: encoded.bytes,
        quality: encoded.quality,
    })
}

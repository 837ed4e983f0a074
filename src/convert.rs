//! Turning an upload into renditions. Runs only in the child, after lock-down; every byte that comes in is hostile.
//!
//! In: the bytes of an upload and a [`Recipe`]. Out: first a [`Declaration`] from the headers alone ([`inspect`]), then, once the
//! supervisor has granted memory and CPU time, the renditions, written one after another ([`convert`]).
//!
//! Absent on purpose: files, sockets, threads, clocks, logs, and any memory of an earlier upload.

mod colour;
mod decode;
mod encode;
mod estimate;
mod light;
mod metadata;
mod motion;
mod orientation;
mod pixels;
mod placeholder;
mod plan;
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

use crate::convert::encode::Order;
use crate::convert::metadata::{Canvas, Embedding, Kept};
use crate::convert::pixels::Layout;
use crate::convert::plan::{Plan, Source, Step};
use crate::convert::preflight::Truncated;
use crate::convert::transform::{Colouring, Cut};
use crate::recipe::{Keep, Recipe, Rendition};
use crate::sandbox::limits::Limits;
use crate::sandbox::protocol::{Declaration, Found, Made, Phase};
use crate::verdict::{Notes, Reason, Refusal};

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
    let headers = preflight::examine(upload, limits, Truncated::of(recipe))?.for_recipe(recipe, limits)?;
    let (width, height) = headers.displayed();
    // Before its memory, which would be refused by a name that says less.
    limits.check_avif(recipe, headers.format, (width, height))?;
    let plan = Plan::new(&headers, recipe);
    // First the decoder alone, so that what follows counts with sane numbers.
    fits(headers.decode_bytes_at(plan.scale), limits)?;
    let memory_bytes = estimate::peak(&headers, &plan, recipe, (upload.len() as u64, limits.output.as_u64()));
    fits(memory_bytes, limits)?;
    Ok(Declaration {
        format: headers.format,
        width,
        height,
        frames: headers.frames,
        channels: headers.channels as u8,
        memory_bytes,
        decode_work: headers.decode_work(),
    })
}

/// What a panic at this place of a source file means, where a decoder is known to panic instead of returning its error.
pub fn gave_up(file: &str, line: u32) -> Option<Refusal> {
    decode::gave_up(file, line)
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
    let headers = preflight::examine(upload, limits, Truncated::of(recipe))?.for_recipe(recipe, limits)?;
    let mut found = Found {
        info: recipe.info().then(|| preflight::info(upload, &headers)),
        ..Found::default()
    };
    let mut made = Vec::with_capacity(recipe.renditions().len());
    if recipe.needs_no_pixels() {
        return Ok(Product { made, found });
    }
    let mut plan = Plan::new(&headers, recipe);
    phase(Phase::Decode);
    let mut colours = colour::Source::read(upload, headers.colours);
    let mut master = decode::decode(upload, &headers, plan.scale, limits, &mut colours)?;
    phase(Phase::Transform);
    master.space = colours.space(master.layout);
    let of_frames = plan.animates().then(|| colours.space(Layout::Rgba)).flatten();
    let keeps_profile = |rendition: &Rendition| rendition.keep.contains(&Keep::Icc) && colours.profile().is_some();
    if !recipe.renditions().iter().any(keeps_profile) && plan.converts_early(&master) {
        master.become_srgb();
    }
    plan.aim(&master, &headers);
    if plan.premultiplies() {
        master.premultiply();
    }

    let exif = headers.exif.and_then(|exif| metadata::credits(upload, exif));
    let mut pictures = Pictures {
        master: Some(Cut::master(Rc::new(master), &headers, plan.scale)),
        cuts: vec![None; plan.wanted.len()],
    };
    let mut encoded = false;
    for &step in &plan.steps {
        if std::mem::take(&mut encoded) {
            phase(Phase::Transform);
        }
        let (index, picture) = match step {
            Step::Cut { index, from, last } => (index, pictures.of(from, last)),
            Step::Finish { index, last } => (index, pictures.of(Source::Cut(index), last)),
            Step::Animate { index, last } => {
                // It may be the last that holds the master.
                drop(pictures.of(Source::Master, last));
                phase(Phase::Encode);
                encoded = true;
                let colours = (of_frames.clone(), colours.notes);
                made.push(motion::write(
                    upload,
                    &headers,
                    &plan.wanted[index],
                    limits,
                    colours,
                    output,
                )?);
                continue;
            }
        };
        // A plan cuts what it needs before it needs it.
        let Some(picture) = picture else { break };
        let wanted = &plan.wanted[index];
        let rendition = &wanted.rendition;
        let (colouring, profile) = if keeps_profile(rendition) {
            (Colouring::Own, colours.profile())
        } else {
            (Colouring::Srgb, None)
        };
        if let Step::Cut { .. } = step {
            pictures.cuts[index] = Some(picture.cut(&wanted.piece, colouring)?);
            continue;
        }
        let format = rendition.output(headers.format);
        let is_placeholder = index == recipe.renditions().len();
        let alpha = is_placeholder || encode::keeps_alpha(format);
        let padding = transform::padding(rendition, alpha, picture.pixels.layout == Layout::Rgba);
        let pixels = transform::finish(picture.pixels, wanted, headers.orientation, padding);
        if let (true, Some(kind)) = (is_placeholder, recipe.placeholder()) {
            found.placeholder = Some(placeholder::of(kind, pixels)?);
            found.notes = colours.notes;
            break;
        }
        phase(Phase::Encode);
        encoded = true;
        let credits = exif.as_deref().filter(|_| rendition.keep.contains(&Keep::Copyright));
        let kept = Kept { profile, exif: credits };
        made.push(Made {
            notes: colours.notes,
            ..write_one(pixels, rendition, format, kept, output)?
        });
    }
    Ok(Product { made, found })
}

/// What is there to cut from.
struct Pictures {
    master: Option<Cut>,
    cuts: Vec<Option<Cut>>,
}

impl Pictures {
    /// A picture, which goes with its last use, so that who holds it alone may change it in place.
    fn of(&mut self, source: Source, last: bool) -> Option<Cut> {
        let place = match source {
            Source::Master => &mut self.master,
            Source::Cut(index) => self.cuts.get_mut(index)?,
        };
        if last { place.take() } else { place.clone() }
    }
}

fn write_one(
    pixels: Rc<pixels::Pixels>,
    rendition: &Rendition,
    format: crate::format::Format,
    kept: Kept<'_>,
    output: &mut dyn Write,
) -> Result<Made, Failure> {
    let (width, height) = (pixels.width, pixels.height);
    let canvas = Canvas {
        size: (width, height),
        alpha: pixels.layout == Layout::Rgba,
    };
    // What is kept counts against `max_bytes`.
    let beside = if rendition.max_bytes.is_some() {
        kept.length(format).map_err(Failure::Output)?
    } else {
        0
    };
    let mut output = Embedding::new(output, kept, format, canvas);
    let order = Order {
        rendition,
        format,
        kept,
    };
    let encoded = encode::encode(pixels, order, beside, &mut output)?;
    let added = output.finish().map_err(Failure::Output)?;
    Ok(Made {
        format,
        width,
        height,
        bytes: encoded.bytes + added,
        quality: encoded.quality,
        frames: 1,
        notes: Notes::NONE,
    })
}

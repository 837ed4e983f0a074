//! How much memory a conversion needs, from headers and recipe alone. `[pure]`
//!
//! An upper bound that noise keeps, too, for a trip convicts. Measured peaks are 0.5 to 1.0 of it where it is 16 MiB and more; below that, tables and
//! colour transforms decide, which a file may not need. Less where an encoder's worst case is far from its usual one (lossy WebP up to
//! 2 MP, opaque pictures with alpha), and at most 1.0 for drawings, some of which take next to nothing: counts do not tell how their elements lie over each other. The heap of
//! Rust and the `malloc` of C libraries count alike. It follows [`super::convert`] step by step: change them together.
#![forbid(unsafe_code)]

use super::colour::Told;
use super::encode::search::buffer;
use super::encode::webp::TOKEN_PIXELS;
use super::encode::{avif, jpeg, keeps_alpha, likeness, moving_webp, palette, png};
use super::orientation::Orientation;
use super::plan::{Piece, Plan, Source, Step};
use super::preflight::Headers;
use super::transform::{blur, is_filtered, sharpen};
use crate::format::Format;
use crate::recipe::work::SAMPLE_SIDE;
use crate::recipe::{Geometry, Keep, Quality, Recipe, Rendition};

/// Tables, buffers and small allocations of all codecs.
const FIXED: u64 = 1 << 20;

/// Peak heap of the whole conversion, in bytes.
/// `upload` and `output`: bytes of the upload, and how many renditions may have.
pub(super) fn peak(headers: &Headers, plan: &Plan, recipe: &Recipe, (upload, output): (u64, u64)) -> u64 {
    if recipe.needs_no_pixels() {
        return headers.document_bytes() + FIXED;
    }
    let keeps = |keep| {
        recipe
            .renditions()
            .iter()
            .any(|rendition| rendition.keep.contains(&keep))
    };
    let mut memory = Memory {
        headers,
        plan,
        premultiplied: plan.premultiplies(),
        own_colours: keeps(Keep::Icc) && headers.colours.told != Told::Nothing,
        master: area(plan.scale.size(headers.master())) * headers.channels,
        cuts: vec![0; plan.wanted.len()],
        renditions: recipe.renditions().len(),
        upload,
        output,
    };
    let decoding = headers.decode_bytes_at(plan.scale);
    let most = plan
        .steps
        .iter()
        .fold(decoding, |most, step| most.max(memory.step(*step)));
    let stays = keeps(Keep::Icc) || keeps(Keep::Copyright);
    most + headers.colours.memory(stays) + FIXED
}

/// What is held while the steps of a plan are taken.
struct Memory<'a> {
    headers: &'a Headers,
    plan: &'a Plan,
    /// Whether the master's colours are multiplied by alpha.
    premultiplied: bool,
    /// Whether the master stays in colours of its own, of which every cut in sRGB is converted.
    own_colours: bool,
    master: u64,
    /// 0 for one that is not there, or shares the pixels of another.
    cuts: Vec<u64>,
    /// How many of the cuts are renditions; the placeholder's is not.
    renditions: usize,
    /// Bytes of the upload.
    upload: u64,
    /// Bytes that renditions may have.
    output: u64,
}

impl Memory<'_> {
    /// The peak of a step.
    fn step(&mut self, step: Step) -> u64 {
        match step {
            Step::Cut { index, from, last } => self.cut(index, from, last),
            Step::Finish { index, last } => self.finish(index, last),
            Step::Animate { index, last } => {
                self.freed(Source::Master, last);
                self.held() + self.animate(index)
            }
        }
    }

    fn held(&self) -> u64 {
        self.master + self.cuts.iter().sum::<u64>()
    }

    /// What goes with the last use of a source.
    fn freed(&mut self, source: Source, last: bool) -> u64 {
        let place = match source {
            Source::Master => &mut self.master,
            Source::Cut(index) => &mut self.cuts[index],
        };
        if last { std::mem::take(place) } else { 0 }
    }

    fn cut(&mut self, index: usize, from: Source, last: bool) -> u64 {
        let piece = &self.plan.wanted[index].piece;
        let (width, height) = self.headers.master();
        let (same, edges) = match from {
            Source::Master => (
                !piece.is_resized() && piece.part == (0, 0, width, height),
                self.plan.scale.size((width, height)),
            ),
            Source::Cut(other) => {
                let other = &self.plan.wanted[other].piece;
                (other == piece, other.size)
            }
        };
        let before = self.held();
        let bytes = area(piece.size) * self.headers.channels;
        let freed = self.freed(from, last);
        let converted = from == Source::Master && self.own_colours && !piece.own_colours;
        self.cuts[index] = match (same, last) {
            (true, true) => freed,
            // Shared, unless it is changed.
            (true, false) if !converted => 0,
            _ => bytes,
        };
        let resampling = match (same, piece.is_resized()) {
            (false, true) if piece.linear => self.in_light(piece),
            (false, true) => self.resampler(piece, from, edges),
            _ => 0,
        };
        let made = if same && last { 0 } else { self.cuts[index] };
        before + made + resampling
    }

    /// What the resampler holds beside both pictures: the picture after the upright pass, the weights, and, unless that was done
    /// in place before, a copy with colours multiplied by alpha.
    fn resampler(&self, piece: &Piece, from: Source, edges: (u32, u32)) -> u64 {
        // The part never has more columns than the picture that it is cut from.
        let columns = u64::from(piece.part.2.min(edges.0));
        let between = columns * u64::from(piece.size.1) * self.headers.channels;
        let edges = [edges.0, edges.1, piece.size.0, piece.size.1];
        let premultiplied = from == Source::Master && self.premultiplied;
        let copy = if self.headers.channels == 4 && !premultiplied {
            area((edges[0], edges[1])) * 4
        } else {
            0
        };
        between + weights(edges) + copy
    }

    /// The same where light is mixed: the part that is resized, the picture after the upright pass, and the result, all in 16 bits.
    fn in_light(&self, piece: &Piece) -> u64 {
        let (part, size) = ((piece.part.2, piece.part.3), piece.size);
        let between = area((part.0, size.1));
        let samples = (area(part) + area(size) + between) * self.headers.channels;
        2 * (samples + weights([part.0, part.1, size.0, size.1]))
    }

    fn finish(&mut self, index: usize, last: bool) -> u64 {
        let wanted = &self.plan.wanted[index];
        let (rendition, geometry) = (&wanted.rendition, &wanted.geometry);
        let channels = self.headers.channels;
        let resized = area(geometry.resized) * channels;
        // What this rendition alone has, 0 while others need it, too.
        let own = self.freed(Source::Cut(index), last);
        let others = self.held();

        let orientation = self.headers.orientation.then(Orientation::of(rendition));
        let turned = if orientation == Orientation::UPRIGHT {
            0
        } else {
            resized
        };
        let filtered = is_filtered(rendition);
        let picture = match turned.max(own) {
            // What is shared is copied before it is changed.
            0 if filtered => resized,
            picture => picture,
        };
        let filters = if filtered { filters(geometry) } else { 0 };

        let padded = geometry.canvas != geometry.resized;
        // Padding in colour makes grey pixels coloured first; transparent padding adds alpha.
        let format = rendition.output(self.headers.format);
        let depth = match padded {
            true if keeps_alpha(format) && !rendition.background.is_opaque() => 4,
            true => channels.max(3),
            false => channels,
        };
        let canvas = if padded { area(geometry.canvas) * depth } else { 0 };
        let coloured = if depth > channels {
            area(geometry.resized) * depth
        } else {
            0
        };
        let result = if canvas > 0 { canvas } else { picture };
        let encoding = if index < self.renditions {
            search(format, rendition, geometry.canvas, depth)
                + encoder(format, rendition, geometry.canvas, depth, result == 0)
        } else {
            0
        };
        let scratch = (own + turned).max(picture + filters).max(picture + coloured + canvas);
        others + scratch.max(result + encoding)
    }

    /// A rendition that stays an animation: the reader and its canvas, one frame on its way, and the encoder.
    fn animate(&self, index: usize) -> u64 {
        let wanted = &self.plan.wanted[index];
        let headers = self.headers;
        let (frame, canvas) = (headers.pixels() * 4, area(wanted.geometry.canvas));
        // The frame as it is decoded, and its indices, whose buffer grows; what the canvas shows, and what it showed before.
        let reader = match headers.format {
            Format::Gif => headers.largest.max(headers.pixels()) * 7 + frame * 2,
            // The frame as a file of its own, too, and nothing from before.
            Format::Webp => headers.decode_bytes + frame + self.upload,
            _ => headers.decode_bytes + frame * 2,
        };
        let (held, encoder) = match wanted.rendition.output(headers.format) {
            // What was shown, what waits, and what comes.
            Format::Gif => (canvas * 8, 0),
            // What was shown, and all frames; what changed, encoded, and framed.
            _ => (
                canvas * 4 + moving_webp::buffer(headers.frames, canvas, self.output),
                canvas * 14,
            ),
        };
        let mut one = Memory {
            headers: &Headers {
                channels: 4,
                ..*headers
            },
            premultiplied: false,
            own_colours: false,
            master: frame,
            cuts: vec![0; self.cuts.len()],
            ..*self
        };
        let cut = one.cut(index, Source::Master, true);
        reader + held + cut.max(one.finish(index, true) + encoder)
    }
}

/// The resampler's weights for both directions.
fn weights(edges: [u32; 4]) -> u64 {
    edges.into_iter().map(|edge| u64::from(edge) * 96).sum()
}

/// What blurring or sharpening holds beside the picture.
fn filters(geometry: &Geometry) -> u64 {
    let (width, height) = geometry.resized;
    blur::scratch(width.max(height)).max(sharpen::scratch(width))
}

/// What the encoder holds beside the pixels it is given.
fn encoder(format: Format, rendition: &Rendition, canvas: (u32, u32), channels: u64, shared: bool) -> u64 {
    let pixels = area(canvas);
    let alpha = channels == 4;
    match format {
        // A shared picture is copied before it is laid on the background.
        Format::Jpeg => jpeg::holds(rendition, canvas, channels) + if alpha && shared { pixels * 4 } else { 0 },
        Format::Webp => {
            let coloured = if channels == 1 { pixels * 3 } else { 0 };
            coloured
                + if rendition.lossless {
                    webp_lossless(pixels)
                } else {
                    webp_lossy(pixels, alpha, rendition.quality().most(format))
                }
        }
        Format::Avif => avif::holds(rendition, canvas, channels),
        // Four channels where there were fewer, opaque or not there, indices, and how they are compressed.
        Format::Gif => pixels * (if alpha { 9 } else { 13 }) + palette::SCRATCH,
        // Indices, and the same packed.
        Format::Png if rendition.palette => pixels + pixels / 2 + palette::SCRATCH + png::holds(canvas),
        _ => png::holds(canvas),
    }
}

/// What is held while the quality is found: the sample, its planes, and while one is tried, what encodes, decodes, and compares it; and with `max_bytes`, two encodings.
fn search(format: Format, rendition: &Rendition, canvas: (u32, u32), channels: u64) -> u64 {
    let buffers = match rendition.max_bytes {
        Some(most) => 2 * buffer(area(canvas)).min(most.into()),
        None => 0,
    };
    let sample = match rendition.quality() {
        Quality::Auto if rendition.is_lossy(format) => {
            let sample = (canvas.0.min(SAMPLE_SIDE), canvas.1.min(SAMPLE_SIDE));
            let pixels = area(sample);
            let (original, comparing) = likeness::holds(pixels, channels == 4);
            let encoding = encoder(format, rendition, sample, channels, false);
            let trying = encoding
                .max(20 * pixels)
                .max(comparing - original + pixels * channels.max(3));
            pixels * channels + buffer(pixels) + original + trying
        }
        _ => 0,
    };
    buffers + sample
}

/// Measured with noise, the worst case: tokens of 28 bytes a pixel at quality 100, 17 at quality 80, without them 5; an alpha plane is coded
/// as a lossless picture. Photos need half of that, flat pictures a tenth.
fn webp_lossy(pixels: u64, alpha: bool, quality: u8) -> u64 {
    match (alpha, pixels <= TOKEN_PIXELS) {
        (true, _) => pixels * 34 + histograms(pixels) / 2,
        (false, true) => {
            let tokens = match quality {
                0..=80 => 20,
                81..=90 => 25,
                _ => 30,
            };
            pixels * tokens
        }
        (false, false) => pixels * 6,
    }
}

/// Two copies of the pixels, hash chains, and four lists of back references.
fn webp_lossless(pixels: u64) -> u64 {
    pixels * 41 + histograms(pixels)
}

/// libwebp keeps up to 2,600 histograms of symbols for parts of the picture, and as many clustered ones.
fn histograms(pixels: u64) -> u64 {
    u64::min(pixels * 80, 40 << 20)
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

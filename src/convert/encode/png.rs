//! PNG, 8 bits a channel, or with a palette of at most 256 colours and as few bits a pixel as these take.
#![forbid(unsafe_code)]

use std::io::Write;

use png::{BitDepth, ColorType, DeflateCompression, Encoder, EncodingError, Filter};

use super::odd;
use super::palette::{self, Indexed};
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};

/// Effort of deflate. The level below is another coder: twice as fast, but it holds noise up to four times over.
const LEVEL: u8 = 1;
/// The same for indices, of which there is one a pixel.
const INDEX_LEVEL: u8 = 6;
/// Most colours of grey with which indices are shorter than samples.
const FEW: usize = 16;

/// Compressed bytes that are written at a time.
const CHUNK: usize = 64 * 1024;
/// What the coder holds beside rows: its window, its tables, and a chunk.
const CODER: u64 = 512 << 10;

/// What is held beside the pixels: rows before and after each filter, at most four bytes a pixel, and the coder.
pub(in crate::convert) fn holds((width, _): (u32, u32)) -> u64 {
    u64::from(width) * 4 * 8 + CODER
}

/// Every pixel as it is, written row by row.
pub(super) fn encode(pixels: &Pixels, output: &mut dyn Write) -> Result<(), Failure> {
    let mut encoder = Encoder::new(output, pixels.width, pixels.height);
    encoder.set_color(match pixels.layout {
        Layout::Grey => ColorType::Grayscale,
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba => ColorType::Rgba,
    });
    encoder.set_depth(BitDepth::Eight);
    encoder.set_deflate_compression(DeflateCompression::Level(LEVEL));
    encoder.set_filter(Filter::Adaptive);
    write(encoder, &pixels.bytes)
}

fn write(encoder: Encoder<'_, &mut dyn Write>, rows: &[u8]) -> Result<(), Failure> {
    let mut writer = encoder.write_header().map_err(failure)?;
    let mut stream = writer.stream_writer_with_size(CHUNK).map_err(failure)?;
    stream.write_all(rows).map_err(Failure::Output)?;
    stream.finish().map_err(failure)?;
    writer.finish().map_err(failure)
}

/// With a palette; exact where there are no more than 256 colours.
pub(super) fn encode_with_palette(pixels: &Pixels, output: &mut dyn Write) -> Result<(), Failure> {
    let mut indexed = palette::of(pixels);
    if pixels.layout == Layout::Grey && indexed.colours.len() > FEW {
        drop(indexed);
        return encode(pixels, output);
    }
    translucent_first(&mut indexed);
    let Indexed { colours, indices } = indexed;
    let depth = match colours.len() {
        0..=2 => BitDepth::One,
        3..=4 => BitDepth::Two,
        5..=16 => BitDepth::Four,
        _ => BitDepth::Eight,
    };
    let mut encoder = Encoder::new(output, pixels.width, pixels.height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(depth);
    encoder.set_palette(colours.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect::<Vec<u8>>());
    let alpha: Vec<u8> = colours
        .iter()
        .map(|colour| colour[3])
        .take_while(|&alpha| alpha != 255)
        .collect();
    if !alpha.is_empty() {
        encoder.set_trns(alpha);
    }
    encoder.set_deflate_compression(DeflateCompression::Level(INDEX_LEVEL));
    encoder.set_filter(Filter::NoFilter);
    write(encoder, &packed(indices, pixels.width as usize, depth))
}

/// Orders the colours so that those with an alpha come first: it is written for them alone.
fn translucent_first(indexed: &mut Indexed) {
    let mut order: Vec<u8> = (0..indexed.colours.len()).map(|index| index as u8).collect();
    order.sort_by_key(|&index| indexed.colours[usize::from(index)][3] == 255);
    let mut place = [0; palette::MOST];
    for (to, &from) in order.iter().enumerate() {
        place[usize::from(from)] = to as u8;
    }
    indexed.colours = order.iter().map(|&from| indexed.colours[usize::from(from)]).collect();
    indexed
        .indices
        .iter_mut()
        .for_each(|index| *index = place[usize::from(*index)]);
}

/// Rows of whole bytes, the first pixel in the highest bits.
fn packed(indices: Vec<u8>, width: usize, depth: BitDepth) -> Vec<u8> {
    let bits = depth as usize;
    if bits == 8 {
        return indices;
    }
    let pack = |pixels: &[u8]| {
        let shifted = pixels
            .iter()
            .enumerate()
            .map(|(at, &index)| index << (8 - bits - at * bits));
        shifted.fold(0, |byte, index| byte | index)
    };
    let rows = indices.chunks(width.max(1));
    rows.flat_map(|row| row.chunks(8 / bits).map(pack)).collect()
}

fn failure(error: EncodingError) -> Failure {
    match error {
        EncodingError::IoError(error) => Failure::Output(error),
        error => odd("PNG", error),
    }
}

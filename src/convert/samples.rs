//! Uploads made on the spot for tests, byte by byte where a test wants to lie in a header.
#![forbid(unsafe_code)]

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{ExtendedColorType, ImageEncoder};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::recipe::{Recipe, Rendition, Target};

/// RGB with slopes and some noise, so that codecs have work to do.
pub(super) fn rgb(width: u32, height: u32) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut bytes = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let noise = state & 7;
            bytes.push((x * 247 / width + noise) as u8);
            bytes.push((y * 247 / height + noise) as u8);
            bytes.push(((x / 8 + y / 8) % 2 * 120 + noise) as u8);
        }
    }
    bytes
}

/// The same with some alpha, or, `channels` being 1, only its red.
pub(super) fn samples(width: u32, height: u32, channels: u32) -> Vec<u8> {
    let colours = rgb(width, height);
    let pixel = |(index, pixel): (usize, &[u8])| match channels {
        1 => vec![pixel[0]],
        2 => vec![pixel[0], (index % 251) as u8],
        3 => pixel.to_vec(),
        _ => vec![pixel[0], pixel[1], pixel[2], (index % 251) as u8],
    };
    colours.chunks(3).enumerate().flat_map(pixel).collect()
}

/// A JPEG of 1, 3 or 4 components.
pub(super) fn jpeg(width: u16, height: u16, colour: ColorType, sampling: SamplingFactor, progressive: bool) -> Vec<u8> {
    let channels = components(colour);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 85);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(progressive);
    encoder
        .encode(&samples(width.into(), height.into(), channels), width, height, colour)
        .unwrap();
    bytes
}

/// A JPEG with restart markers.
pub(super) fn restarting(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 85);
    encoder.set_restart_interval(3);
    encoder
        .encode(&rgb(width.into(), height.into()), width, height, ColorType::Rgb)
        .unwrap();
    bytes
}

/// Bytes of a pixel that the encoder is given.
pub(super) fn components(colour: ColorType) -> u32 {
    match colour {
        ColorType::Luma => 1,
        ColorType::Cmyk | ColorType::CmykAsYcck => 4,
        _ => 3,
    }
}

/// A plain JPEG.
pub(super) fn photo(width: u16, height: u16) -> Vec<u8> {
    jpeg(width, height, ColorType::Rgb, SamplingFactor::R_4_2_0, false)
}

/// Puts an EXIF segment with this orientation after the start marker.
pub(super) fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xff\xe1\x00\x22Exif\0\0".to_vec();
    exif.extend(exif_block(orientation));
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

/// A TIFF header and one directory that holds nothing but an orientation.
pub(super) fn exif_block(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// A Display P3 profile, the same at every call: no date of its making.
pub(super) fn p3() -> Vec<u8> {
    let mut profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    // Its date is the time of encoding: year and month, day and hour, minute and second.
    profile[24..36].copy_from_slice(&[7, 0xea, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    profile
}

/// A chunk of a PNG.
pub(super) fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_be_bytes().to_vec();
    bytes.extend(kind);
    bytes.extend(body);
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[4..]);
    bytes.extend(sum.sum().to_be_bytes());
    bytes
}

pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A PNG of a colour type and depth (8 or 16; palette: 8), with more chunks after its header.
pub(super) fn png(size: (u32, u32), colour: u8, depth: u8, interlaced: bool, more: &[Vec<u8>]) -> Vec<u8> {
    let (width, height) = size;
    let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(colour)];
    let bytes = samples(width, height, channels);
    let pixel = channels as usize;
    let mut rows = Vec::new();
    let passes: &[(u32, u32, u32, u32)] = match interlaced {
        true => &[
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ],
        false => &[(0, 0, 1, 1)],
    };
    for &(left, top, across, down) in passes {
        for y in (top..height).step_by(down as usize).filter(|_| left < width) {
            rows.push(0);
            for x in (left..width).step_by(across as usize) {
                let at = (y * width + x) as usize * pixel;
                for &sample in &bytes[at..at + pixel] {
                    rows.extend(std::iter::repeat_n(sample, usize::from(depth / 8)));
                }
            }
        }
    }
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([depth, colour, 0, 0, interlaced.into()]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(chunk(b"IHDR", &header));
    if colour == 3 {
        png.extend(chunk(b"PLTE", &rgb(16, 16)));
    }
    more.iter().for_each(|chunk| png.extend(chunk));
    png.extend(chunk(b"IDAT", &deflated(&rows)));
    png.extend(chunk(b"IEND", b""));
    png
}

/// A GIF with this many frames.
pub(super) fn gif(width: u32, height: u32, frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut bytes, 30);
    for _ in 0..frames {
        encoder
            .encode(&rgb(width, height), width, height, ExtendedColorType::Rgb8)
            .unwrap();
    }
    drop(encoder);
    bytes
}

/// A BMP of 3 or 4 channels.
pub(super) fn bmp(width: u32, height: u32, channels: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let colour = if channels == 4 {
        ExtendedColorType::Rgba8
    } else {
        ExtendedColorType::Rgb8
    };
    let encoder = image::codecs::bmp::BmpEncoder::new(&mut bytes);
    encoder
        .write_image(&samples(width, height, channels), width, height, colour)
        .unwrap();
    bytes
}

/// A QOI of 3 or 4 channels.
pub(super) fn qoi(width: u32, height: u32, channels: u32) -> Vec<u8> {
    let colour = if channels == 4 {
        ExtendedColorType::Rgba8
    } else {
        ExtendedColorType::Rgb8
    };
    let mut bytes = Vec::new();
    let encoder = image::codecs::qoi::QoiEncoder::new(&mut bytes);
    encoder
        .write_image(&samples(width, height, channels), width, height, colour)
        .unwrap();
    bytes
}

/// A PNM: `kind` 1 to 6 with samples up to `most`; 7 is a PAM of grey with alpha.
pub(super) fn pnm(width: u32, height: u32, kind: u8, most: u32) -> Vec<u8> {
    let channels = [0, 1, 1, 3, 1, 1, 3, 2][usize::from(kind)];
    let samples = samples(width, height, channels);
    let scaled = |sample: u8| u32::from(sample) * most / 255;
    let mut bytes = format!("P{kind}\n# made for a test\n{width} {height}\n").into_bytes();
    match kind {
        7 => {
            let header =
                format!("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 2\nMAXVAL {most}\nTUPLTYPE GRAYSCALE_ALPHA\n");
            bytes = [header.as_bytes(), b"ENDHDR\n"].concat();
        }
        1 | 4 => {}
        _ => bytes.extend(format!("{most}\n").as_bytes()),
    }
    match kind {
        1 => bytes.extend(samples.iter().flat_map(|sample| [b'0' + (sample >> 7), b' '])),
        2 | 3 => samples
            .iter()
            .for_each(|&sample| bytes.extend(format!("{}\n", scaled(sample)).as_bytes())),
        4 => bytes.extend(vec![0b1010_0000; (width.div_ceil(8) * height) as usize]),
        _ if most > 255 => {
            let wide = samples.iter().map(|&sample| scaled(sample) as u16);
            bytes.extend(wide.flat_map(u16::to_be_bytes));
        }
        _ => bytes.extend(samples.iter().map(|&sample| scaled(sample) as u8)),
    }
    bytes
}

/// An icon of these pictures, each with the size that its entry says.
pub(super) fn ico(pictures: &[((u32, u32), Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, 0, pictures.len() as u8, 0];
    let mut start = 6 + 16 * pictures.len();
    for ((width, height), picture) in pictures {
        bytes.extend([*width as u8, *height as u8, 0, 0, 1, 0, 32, 0]);
        bytes.extend((picture.len() as u32).to_le_bytes());
        bytes.extend((start as u32).to_le_bytes());
        start += picture.len();
    }
    pictures.iter().for_each(|(_, picture)| bytes.extend(picture));
    bytes
}

/// A bitmap as icons hold it: no file header, twice the height, and a mask under which nothing is transparent.
pub(super) fn icon_bitmap(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = bmp(width, height, 3)[14..].to_vec();
    bytes[8..12].copy_from_slice(&(height * 2).to_le_bytes());
    bytes.extend(vec![0; (width.div_ceil(32) * 4 * height) as usize]);
    bytes
}

/// An SVG of this size with `body` in it.
#[cfg(feature = "svg")]
pub(super) fn svg(width: u32, height: u32, body: &str) -> Vec<u8> {
    let space = r#"xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink""#;
    format!(r#"<svg {space} width="{width}" height="{height}">{body}</svg>"#).into_bytes()
}

/// The same, compressed by gzip.
#[cfg(feature = "svg")]
pub(super) fn svgz(svg: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(svg).unwrap();
    encoder.finish().unwrap()
}

/// A WebP, by the encoder under test.
pub(super) fn webp(width: u32, height: u32, alpha: bool, lossless: bool) -> Vec<u8> {
    let source = png((width, height), if alpha { 6 } else { 2 }, 8, false, &[]);
    let rendition = Rendition {
        format: Target::Webp,
        lossless,
        ..Rendition::named("webp")
    };
    super::tests::converted(&source, &Recipe::new(vec![rendition]).unwrap())
}

/// A chunk of a WebP.
pub(super) fn riff_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.extend(vec![0; body.len() % 2]);
    bytes
}

/// A WebP of these chunks.
pub(super) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((body.len() as u32 + 4).to_le_bytes());
    bytes.extend(b"WEBP");
    bytes.extend(body);
    bytes
}

/// The extended header of a WebP: flags 2 for an animation, 8 for EXIF, 16 for alpha.
pub(super) fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let size = [(width - 1).to_le_bytes(), (height - 1).to_le_bytes()];
    riff_chunk(b"VP8X", &[&[flags, 0, 0, 0], &size[0][..3], &size[1][..3]].concat())
}

/// An animated WebP: the bitstream of a still one, over and over.
pub(super) fn animated(still: &[u8], width: u32, height: u32, frames: usize) -> Vec<u8> {
    let size = [(width - 1).to_le_bytes(), (height - 1).to_le_bytes()];
    let body = [&[0; 6], &size[0][..3], &size[1][..3], &[0; 4], &still[12..]].concat();
    let mut chunks = vec![extended(2, width, height), riff_chunk(b"ANIM", &[0; 6])];
    chunks.extend(std::iter::repeat_n(riff_chunk(b"ANMF", &body), frames));
    riff(&chunks)
}

/// How a made TIFF is laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiff {
    pub(super) size: (u32, u32),
    /// 1 to 4.
    pub(super) channels: u32,
    /// 8 or 16.
    pub(super) bits: u16,
    /// Tiles of this edge, else strips of this many rows.
    pub(super) tile: Option<u32>,
    pub(super) rows: u32,
    pub(super) deflate: bool,
    pub(super) orientation: u16,
}

impl Tiff {
    pub(super) fn plain(width: u32, height: u32) -> Self {
        let size = (width, height);
        Self {
            size,
            channels: 3,
            bits: 8,
            tile: None,
            rows: 16,
            deflate: false,
            orientation: 1,
        }
    }

    /// The chunks of pixels, compressed.
    fn chunks(&self) -> Vec<Vec<u8>> {
        let (width, height) = self.size;
        let pixel = self.channels * u32::from(self.bits) / 8;
        let bytes: Vec<u8> = samples(width, height, self.channels)
            .iter()
            .flat_map(|&sample| std::iter::repeat_n(sample, usize::from(self.bits / 8)))
            .collect();
        let part = |left: u32, top: u32, across: u32, down: u32| {
            let mut part = Vec::new();
            for y in top..top + down {
                let start = (y * width + left) * pixel;
                let kept = if y < height {
                    across.min(width - left) * pixel
                } else {
                    0
                };
                part.extend(&bytes[start.min(bytes.len() as u32) as usize..][..kept as usize]);
                part.extend(vec![0; (across * pixel - kept) as usize]);
            }
            if self.deflate { deflated(&part) } else { part }
        };
        match self.tile {
            Some(edge) => (0..height)
                .step_by(edge as usize)
                .flat_map(|y| (0..width).step_by(edge as usize).map(move |x| (x, y)))
                .map(|(x, y)| part(x, y, edge, edge))
                .collect(),
            None => (0..height)
                .step_by(self.rows as usize)
                .map(|y| part(0, y, width, self.rows.min(height - y)))
                .collect(),
        }
    }

    /// The file, least significant byte first.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let chunks = self.chunks();
        let mut file = b"II\x2a\0\0\0\0\0".to_vec();
        let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
        for chunk in &chunks {
            offsets.extend((file.len() as u32).to_le_bytes());
            lengths.extend((chunk.len() as u32).to_le_bytes());
            file.extend(chunk);
        }
        let count = chunks.len() as u32;
        let mut place = |bytes: &[u8]| {
            let at = file.len() as u32;
            file.extend(bytes);
            if bytes.len() <= 4 {
                u32::from_le_bytes(bytes.try_into().unwrap())
            } else {
                at
            }
        };
        let (offsets, lengths) = (place(&offsets), place(&lengths));
        let bits = match self.channels {
            1 | 2 => u32::from(self.bits) * 0x1_0001,
            _ => place(&self.bits.to_le_bytes().repeat(4)),
        };
        let photometric = if self.channels < 3 { 1 } else { 2 };
        let mut tags = vec![
            (256, 4, 1, self.size.0),
            (257, 4, 1, self.size.1),
            (258, 3, self.channels, bits),
            (259, 3, 1, if self.deflate { 8 } else { 1 }),
            (262, 3, 1, photometric),
            (274, 3, 1, self.orientation.into()),
            (277, 3, 1, self.channels),
        ];
        match self.tile {
            Some(edge) => tags.extend([
                (322, 4, 1, edge),
                (323, 4, 1, edge),
                (324, 4, count, offsets),
                (325, 4, count, lengths),
            ]),
            None => tags.extend([
                (273, 4, count, offsets),
                (278, 4, 1, self.rows),
                (279, 4, count, lengths),
            ]),
        }
        if matches!(self.channels, 2 | 4) {
            tags.push((338, 3, 1, 2));
        }
        tags.sort_unstable();
        let directory = file.len() as u32;
        file[4..8].copy_from_slice(&directory.to_le_bytes());
        file.extend(ifd(&tags, 0));
        file
    }
}

/// A TIFF directory: tag, type, count, value; and the offset of the next.
pub(super) fn ifd(tags: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut bytes = (tags.len() as u16).to_le_bytes().to_vec();
    for &(tag, kind, count, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes
}

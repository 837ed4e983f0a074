//! JPEG XL through jxl-oxide, on the caller's thread: the first frame that is shown, in sRGB, or in the colours of a profile that
//! its samples were coded in.
//!
//! Its own tracker of memory is not used: it knows of some buffers, the child's allocator of all.
#![forbid(unsafe_code)]

use jxl_oxide::{EnumColourEncoding, ExtraChannelType, InitializeResult, JxlImage, JxlThreadPool, RenderingIntent};

use super::corrupt;
use crate::convert::Failure;
use crate::convert::colour::Source;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;

/// Bytes that the decoder is fed at a time: it keeps what it was given until the first frame is complete.
const BLOCK: usize = 64 * 1024;

/// Decodes the first frame, upright.
pub(super) fn decode(upload: &[u8], headers: &Headers, source: &mut Source<'_>) -> Result<Pixels, Failure> {
    let mut image = first_frame(upload)?;
    let size = (image.width(), image.height());
    if size != (headers.width, headers.height) {
        return Err(corrupt("the decoder finds another size than the headers say"));
    }
    let metadata = &image.image_header().metadata;
    let associated = metadata.ec_info.iter().find_map(|extra| match extra.ty {
        ExtraChannelType::Alpha { alpha_associated } => Some(alpha_associated),
        _ => None,
    });
    let grey = metadata.grayscale();
    // Pixels that were coded in a profile's colours stay there; all others the decoder turns into sRGB.
    if metadata.colour_encoding.want_icc() && !metadata.xyb_encoded {
        if let Some(profile) = image.original_icc() {
            source.learn(profile, headers.colours.kind);
        }
    } else {
        let encoding = if grey {
            EnumColourEncoding::gray_srgb(RenderingIntent::Relative)
        } else {
            EnumColourEncoding::srgb(RenderingIntent::Relative)
        };
        image.request_color_encoding(encoding);
    }

    let render = image.render_frame(0).map_err(failure)?;
    drop(image);
    let mut stream = render.stream();
    let channels = stream.channels() as usize;
    let mut bytes = vec![0_u8; size.0 as usize * size.1 as usize * channels];
    let written = stream.write_to_buffer(&mut bytes);
    let (layout, bytes) = match channels {
        _ if written != bytes.len() => return Err(corrupt("JPEG XL: the frame is smaller than the picture")),
        1 => (Layout::Grey, bytes),
        2 => (Layout::Rgba, super::samples::spread(&bytes)),
        3 => (Layout::Rgb, bytes),
        4 => (Layout::Rgba, bytes),
        _ => return Err(corrupt(format_args!("JPEG XL of {channels} channels"))),
    };
    drop(render);
    let mut pixels = Pixels::new(size, layout, bytes);
    if associated == Some(true) {
        pixels.premultiplied = true;
        pixels.unmultiply();
    }
    Ok(pixels.without_idle_alpha())
}

/// Feeds the decoder until it has the first frame; what follows is not looked at.
fn first_frame(upload: &[u8]) -> Result<JxlImage, Failure> {
    let mut waiting = Some(JxlImage::builder().pool(JxlThreadPool::none()).build_uninit());
    let mut ready: Option<JxlImage> = None;
    let (mut at, mut end) = (0, 0);
    while end < upload.len() {
        end = (end + BLOCK).min(upload.len());
        let block = &upload[at..end];
        if let Some(mut uninit) = waiting.take() {
            at += uninit.feed_bytes(block).map_err(failure)?;
            match uninit.try_init().map_err(failure)? {
                InitializeResult::NeedMoreData(uninit) => waiting = Some(uninit),
                InitializeResult::Initialized(image) => ready = Some(image),
            }
        } else if let Some(image) = &mut ready {
            at += image.feed_bytes(block).map_err(failure)?;
        }
        if let Some(image) = ready.take() {
            if image.num_loaded_keyframes() > 0 {
                return Ok(image);
            }
            ready = Some(image);
        }
    }
    Err(corrupt("a JPEG XL that ends within its first frame"))
}

fn failure(error: impl std::fmt::Display) -> Failure {
    corrupt(format_args!("JPEG XL: {error}"))
}

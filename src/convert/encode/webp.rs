//! WebP through libwebp, the one codec here that is not Rust: no Rust encoder writes lossy WebP.
//!
//! Unsafe, because it is C: every call below hands over memory that outlives it, and what libwebp allocates is freed by the
//! two owners in this file. It runs on the calling thread (`thread_level` 0), and its `malloc` is not counted by the
//! allocator of the child: the estimate includes it, the kernel's limit bounds it.
#![allow(unsafe_code, reason = "calls into C; every block says why it is sound")]

use std::io::Write;
use std::ptr;

use libwebp_sys::{
    WebPConfig, WebPConfigLosslessPreset, WebPEncode, WebPEncodingError, WebPMemoryWrite, WebPMemoryWriter,
    WebPMemoryWriterClear, WebPMemoryWriterInit, WebPPicture, WebPPictureFree, WebPPictureImportRGB,
    WebPPictureImportRGBA, WebPValidateConfig,
};

use super::{odd, over};
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::recipe::Rendition;

/// Longest edge of the format.
const MAX_EDGE: u32 = 16_383;
/// Effort of lossy coding, 0 to 6.
const METHOD: i32 = 4;
/// Most pixels whose tokens are kept in memory, up to 30 bytes a pixel. Above, lossy coding takes two thirds more time
/// and a fifth of the memory, for the same size of output.
pub(in crate::convert) const TOKEN_PIXELS: u64 = 2 << 20;
/// Effort of lossless coding, 0 to 9.
const LOSSLESS_LEVEL: i32 = 3;

/// Encodes RGB or RGBA.
pub(super) fn encode(
    pixels: &Pixels,
    rendition: &Rendition,
    quality: u8,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let edge = pixels.width.max(pixels.height);
    if edge > MAX_EDGE {
        return Err(over("webp_edge", edge, MAX_EDGE));
    }
    let config = config(rendition, quality, u64::from(pixels.width) * u64::from(pixels.height))?;
    let mut picture = Picture::of(pixels, rendition.lossless)?;
    let mut memory = Memory::new();
    picture.0.writer = Some(WebPMemoryWrite);
    picture.0.custom_ptr = memory.0.as_mut() as *mut WebPMemoryWriter as *mut _;
    // SAFETY: config and picture are initialised, and `custom_ptr` is the boxed writer, which lives until after this call.
    let done = unsafe { WebPEncode(&config, &mut picture.0) };
    if done == 0 {
        return Err(failure(picture.0.error_code));
    }
    drop(picture);
    output.write_all(memory.bytes()).map_err(Failure::Output)
}

fn config(rendition: &Rendition, quality: u8, pixels: u64) -> Result<WebPConfig, Failure> {
    let mut config = WebPConfig::new().map_err(|()| odd("WebP", "another version of libwebp"))?;
    if rendition.lossless {
        // SAFETY: `config` is initialised and ours alone.
        unsafe { WebPConfigLosslessPreset(&mut config, LOSSLESS_LEVEL) };
    } else {
        config.quality = f32::from(quality);
        config.method = METHOD;
        config.low_memory = (pixels > TOKEN_PIXELS).into();
    }
    config.thread_level = 0;
    // SAFETY: `config` is initialised; the call only reads it.
    match unsafe { WebPValidateConfig(&config) } {
        0 => Err(odd("WebP", "settings out of range")),
        _ => Ok(config),
    }
}

fn failure(code: WebPEncodingError) -> Failure {
    match code {
        WebPEncodingError::VP8_ENC_ERROR_OUT_OF_MEMORY
        | WebPEncodingError::VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY
        | WebPEncodingError::VP8_ENC_ERROR_BAD_WRITE => Failure::OutOfMemory,
        code => odd("WebP", format_args!("{code:?}")),
    }
}

/// Owns the planes that libwebp allocates.
struct Picture(WebPPicture);

impl Picture {
    fn of(pixels: &Pixels, lossless: bool) -> Result<Self, Failure> {
        let mut picture = WebPPicture::new()
            .map(Self)
            .map_err(|()| odd("WebP", "another version of libwebp"))?;
        picture.0.use_argb = lossless.into();
        picture.0.width = pixels.width as i32;
        picture.0.height = pixels.height as i32;
        let (import, channels): (unsafe extern "C" fn(_, _, _) -> _, u32) = match pixels.layout {
            Layout::Rgba => (WebPPictureImportRGBA, 4),
            _ => (WebPPictureImportRGB, 3),
        };
        debug_assert_eq!(pixels.layout.channels(), channels as usize, "grey is coloured before");
        let needed = u64::from(pixels.width) * u64::from(pixels.height) * u64::from(channels);
        if (pixels.bytes.len() as u64) < needed {
            return Err(odd("WebP", "too few pixels"));
        }
        let stride = (pixels.width * channels) as i32;
        // SAFETY: the picture is initialised, and `bytes` holds height × stride bytes, as checked right above.
        match unsafe { import(&mut picture.0, pixels.bytes.as_ptr(), stride) } {
            0 => Err(Failure::OutOfMemory),
            _ => Ok(picture),
        }
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: initialised in `of`; freeing leaves null pointers, and nothing else frees these planes.
        unsafe { WebPPictureFree(&mut self.0) }
    }
}

/// Owns the encoded bytes. Boxed, because the encoder keeps its address.
struct Memory(Box<WebPMemoryWriter>);

impl Memory {
    fn new() -> Self {
        let mut writer = Box::new(WebPMemoryWriter {
            mem: ptr::null_mut(),
            size: 0,
            max_size: 0,
            pad: [0],
        });
        // SAFETY: the writer is ours alone; this only sets its fields.
        unsafe { WebPMemoryWriterInit(writer.as_mut()) };
        Self(writer)
    }

    fn bytes(&self) -> &[u8] {
        if self.0.mem.is_null() {
            return &[];
        }
        // SAFETY: libwebp wrote `size` bytes at `mem`, which stays until `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.0.mem, self.0.size) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`; clearing leaves a null pointer, and nothing else frees it.
        unsafe { WebPMemoryWriterClear(self.0.as_mut()) }
    }
}

//! Still WebP through libwebp, scaled while it decodes where that is worth it: several times faster than in Rust.
//!
//! In: an upload whose headers were examined. Out: pixels. Unsafe, because it is C: it reads the upload and writes into a vector, both of
//! which outlive the call, and frees all else it allocates before it returns. No threads (`use_threads` stays 0). Its `malloc` is not
//! counted by the allocator of the child: the estimate includes it, the kernel's limit and the supervisor's reading of the peak bound it.
#![allow(unsafe_code, reason = "calls into C; every block says why it is sound")]

use libwebp_sys::{VP8StatusCode, WEBP_CSP_MODE, WebPDecode, WebPDecoderConfig, WebPGetFeatures, WebPRGBABuffer};

use super::corrupt;
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;
use crate::convert::scale::Scale;
use crate::verdict::{Reason, Refusal};

/// Decodes a WebP that is no animation.
pub(super) fn decode(upload: &[u8], headers: &Headers, scale: Scale) -> Result<Pixels, Failure> {
    let mut config = WebPDecoderConfig::new().map_err(|()| corrupt("another version of libwebp"))?;
    // SAFETY: reads `len` bytes of the slice, writes into the config, which is initialised and ours alone.
    let status = unsafe { WebPGetFeatures(upload.as_ptr(), upload.len(), &mut config.input) };
    check(status)?;
    let found = (config.input.width, config.input.height);
    if (i64::from(found.0), i64::from(found.1)) != (headers.width.into(), headers.height.into()) {
        return Err(corrupt("the decoder finds another size than the headers say"));
    }
    let layout = if headers.channels == 4 {
        Layout::Rgba
    } else {
        Layout::Rgb
    };
    let size = scale.size((headers.width, headers.height));
    let stride = size.0 as usize * layout.channels();
    let mut pixels = vec![0; stride * size.1 as usize];

    if scale != Scale::WHOLE {
        config.options.use_scaling = 1;
        config.options.scaled_width = size.0 as i32;
        config.options.scaled_height = size.1 as i32;
    }
    config.output.colorspace = match layout {
        Layout::Rgba => WEBP_CSP_MODE::MODE_RGBA,
        _ => WEBP_CSP_MODE::MODE_RGB,
    };
    config.output.is_external_memory = 1;
    config.output.u.RGBA = WebPRGBABuffer {
        rgba: pixels.as_mut_ptr(),
        stride: stride as i32,
        size: pixels.len(),
    };
    // SAFETY: reads `len` bytes of the slice. Writes to `pixels`, whose size and stride it is told and checks against the picture's own.
    let status = unsafe { WebPDecode(upload.as_ptr(), upload.len(), &mut config) };
    check(status)?;
    Ok(Pixels::new(size, layout, pixels).without_idle_alpha())
}

fn check(status: VP8StatusCode) -> Result<(), Failure> {
    match status {
        VP8StatusCode::VP8_STATUS_OK => Ok(()),
        VP8StatusCode::VP8_STATUS_OUT_OF_MEMORY => Err(Failure::OutOfMemory),
        VP8StatusCode::VP8_STATUS_UNSUPPORTED_FEATURE => {
            Err(Refusal::new(Reason::UnsupportedFormat, "a feature of WebP that is not read").into())
        }
        VP8StatusCode::VP8_STATUS_NOT_ENOUGH_DATA | VP8StatusCode::VP8_STATUS_SUSPENDED => {
            Err(corrupt("the WebP ends before its picture does"))
        }
        status => Err(corrupt(format_args!("WebP: {status:?}"))),
    }
}

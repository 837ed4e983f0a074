//! libjpeg-turbo, through its TurboJPEG interface, which ends libjpeg's `longjmp` on its own side: no error unwinds through Rust.
//!
//! In: slices and settings. Out: filled slices, or [`Trouble`]. Unsafe, because it is C: every call hands over memory that outlives
//! it and whose size was checked against what the library is going to write. It starts no thread. Its `malloc` is not counted by the
//! allocator of the child: the estimate includes it, the kernel's limit and the supervisor's reading of the peak bound it.
#![allow(unsafe_code, reason = "calls into C; every block says why it is sound")]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use turbojpeg_sys as raw;

use super::Failure;
use super::scale::Scale;
use crate::verdict::{Reason, Refusal};

/// What is laid out for a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Samples {
    /// One byte of grey.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Four inks, as they are in the file.
    Inks,
}

/// Why a call did not do what it should.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The library mended damage as well as it could; its words for the first thing it met.
    Damage(String),
    /// It could not go on; its words.
    Error(String),
    /// It could not get memory.
    Memory,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Memory => Self::OutOfMemory,
            Trouble::Damage(words) | Trouble::Error(words) => {
                Refusal::new(Reason::Corrupt, format_args!("JPEG: {words}")).into()
            }
        }
    }
}

impl Samples {
    /// Bytes of a pixel.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Inks => 4,
        }
    }

    fn format(self) -> c_int {
        match self {
            Self::Grey => raw::TJPF_TJPF_GRAY,
            Self::Rgb => raw::TJPF_TJPF_RGB,
            Self::Inks => raw::TJPF_TJPF_CMYK,
        }
    }
}

/// One instance of the library, which owns its buffers.
struct Instance(NonNull<std::ffi::c_void>);

impl Instance {
    fn new(kind: raw::TJINIT) -> Result<Self, Trouble> {
        // SAFETY: an integer argument; null is a refusal, and the only reason for one is memory.
        NonNull::new(unsafe { raw::tj3Init(kind as c_int) })
            .map(Self)
            .ok_or(Trouble::Memory)
    }

    fn set(&mut self, setting: raw::TJPARAM, value: i32) -> Result<(), Trouble> {
        // SAFETY: the instance is alive; integers otherwise.
        let answer = unsafe { raw::tj3Set(self.0.as_ptr(), setting as c_int, value) };
        self.check(answer)
    }

    fn get(&mut self, setting: raw::TJPARAM) -> i32 {
        // SAFETY: the instance is alive; an integer otherwise.
        unsafe { raw::tj3Get(self.0.as_ptr(), setting as c_int) }
    }

    fn check(&mut self, answer: c_int) -> Result<(), Trouble> {
        if answer == 0 {
            return Ok(());
        }
        // SAFETY: the instance is alive, and owns the text, which ends with a zero and is copied before the next call.
        let words = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0.as_ptr())) }.to_string_lossy();
        // SAFETY: the instance is alive.
        let code = unsafe { raw::tj3GetErrorCode(self.0.as_ptr()) };
        // libjpeg has no code for it here, only these words (JERR_OUT_OF_MEMORY in jerror.h, and its caller's own).
        if words.starts_with("Insufficient memory") || words.contains("Memory allocation failure") {
            return Err(Trouble::Memory);
        }
        let words = words.chars().take(200).collect();
        Err(match code {
            0 => Trouble::Damage(words),
            _ => Trouble::Error(words),
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed nowhere else.
        unsafe { raw::tj3Destroy(self.0.as_ptr()) }
    }
}

/// What becomes of a file that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// The first damage that is met ends the decoding.
    Ends,
    /// It is mended as well as it can be, and told of in the end.
    IsMended,
}

/// A JPEG to be decoded, once.
pub(super) struct Decoder<'a> {
    instance: Instance,
    upload: &'a [u8],
    damage: Damage,
    size: (u32, u32),
}

impl<'a> Decoder<'a> {
    /// Reads the headers of one upload; a file of more than `scans` scans will be refused.
    pub(super) fn new(upload: &'a [u8], scans: u64, damage: Damage) -> Result<Self, Trouble> {
        let mut instance = Instance::new(raw::TJINIT_TJINIT_DECOMPRESS)?;
        let scans = i32::try_from(scans).unwrap_or(i32::MAX).max(1);
        instance.set(raw::TJPARAM_TJPARAM_SCANLIMIT, scans)?;
        instance.set(raw::TJPARAM_TJPARAM_STOPONWARNING, (damage == Damage::Ends).into())?;
        // No marker is kept: what the headers say is read in the preflight.
        instance.set(raw::TJPARAM_TJPARAM_SAVEMARKERS, 0)?;
        // SAFETY: the instance is alive, and reads `len` bytes of the slice.
        let answer =
            unsafe { raw::tj3DecompressHeader(instance.0.as_ptr(), upload.as_ptr(), upload.len() as raw::size_t) };
        match instance.check(answer) {
            // Told of again when all of it is decoded.
            Err(Trouble::Damage(_)) if damage == Damage::IsMended => {}
            other => other?,
        }
        let edge = |found: i32| u32::try_from(found).map_err(|_| Trouble::Error("headers without a size".into()));
        let width = edge(instance.get(raw::TJPARAM_TJPARAM_JPEGWIDTH))?;
        let height = edge(instance.get(raw::TJPARAM_TJPARAM_JPEGHEIGHT))?;
        Ok(Self {
            instance,
            upload,
            damage,
            size: (width, height),
        })
    }

    /// Width and height as the library finds them.
    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Decodes to `pixels`, rows without gaps, at `scale`: exactly the bytes of the scaled picture. Mended damage is no error.
    pub(super) fn decode(mut self, scale: Scale, samples: Samples, pixels: &mut [u8]) -> Result<(), Trouble> {
        let (width, height) = scale.size(self.size);
        let row = width as usize * samples.bytes();
        if pixels.len() != row * height as usize {
            return Err(Trouble::Error("room for another picture".into()));
        }
        let factor = raw::tjscalingfactor {
            num: scale.eighths() as c_int,
            denom: 8,
        };
        // SAFETY: the instance is alive; the library looks the factor up among those it knows.
        let answer = unsafe { raw::tj3SetScalingFactor(self.instance.0.as_ptr(), reduced(factor)) };
        self.instance.check(answer)?;
        // SAFETY: the instance is alive and reads `len` bytes of the slice. It writes height × pitch bytes, as checked right above:
        // it reads the same headers again, and rounds scaled edges up as `Scale::size` does.
        let answer = unsafe {
            raw::tj3Decompress8(
                self.instance.0.as_ptr(),
                self.upload.as_ptr(),
                self.upload.len() as raw::size_t,
                pixels.as_mut_ptr(),
                row as c_int,
                samples.format(),
            )
        };
        match self.instance.check(answer) {
            Err(Trouble::Damage(_)) if self.damage == Damage::IsMended => Ok(()),
            other => other,
        }
    }
}

/// The library compares factors part by part, in lowest terms.
fn reduced(factor: raw::tjscalingfactor) -> raw::tjscalingfactor {
    match (factor.num, factor.denom) {
        (num, denom) if num % 2 == 0 && denom % 2 == 0 => reduced(raw::tjscalingfactor {
            num: num / 2,
            denom: denom / 2,
        }),
        _ => factor,
    }
}

/// How a JPEG is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    /// 1 to 100.
    pub(super) quality: u8,
    /// Whether the colours of every pixel are kept, and not of every second in both directions.
    pub(super) full_chroma: bool,
    /// Whether Huffman tables are fitted to the picture, which takes a second pass over all coefficients.
    pub(super) fitted_tables: bool,
    /// Whether scans show the whole picture from coarse to fine; tables are fitted then, too.
    pub(super) progressive: bool,
}

/// An encoded JPEG, in memory of the library's.
pub(super) struct Encoded {
    bytes: *mut u8,
    length: raw::size_t,
}

impl Encoded {
    /// The file.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.bytes.is_null() {
            return &[];
        }
        // SAFETY: the library wrote `length` bytes there, which stay until `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length as usize) }
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        // SAFETY: null, or allocated by the library for this and freed nowhere else.
        unsafe { raw::tj3Free(self.bytes.cast()) }
    }
}

/// Encodes rows without gaps, grey or RGB.
pub(super) fn encode(
    pixels: &[u8],
    (width, height): (u16, u16),
    samples: Samples,
    encoding: Encoding,
) -> Result<Encoded, Trouble> {
    let row = usize::from(width) * samples.bytes();
    if pixels.is_empty() || pixels.len() < row * usize::from(height) {
        return Err(Trouble::Error("too few pixels".into()));
    }
    let chroma = match (samples, encoding.full_chroma) {
        (Samples::Grey, _) => raw::TJSAMP_TJSAMP_GRAY,
        (_, true) => raw::TJSAMP_TJSAMP_444,
        (_, false) => raw::TJSAMP_TJSAMP_420,
    };
    let mut instance = Instance::new(raw::TJINIT_TJINIT_COMPRESS)?;
    instance.set(raw::TJPARAM_TJPARAM_QUALITY, encoding.quality.into())?;
    instance.set(raw::TJPARAM_TJPARAM_SUBSAMP, chroma)?;
    instance.set(raw::TJPARAM_TJPARAM_OPTIMIZE, encoding.fitted_tables.into())?;
    instance.set(raw::TJPARAM_TJPARAM_PROGRESSIVE, encoding.progressive.into())?;
    let mut encoded = Encoded {
        bytes: std::ptr::null_mut(),
        length: 0,
    };
    // SAFETY: the instance is alive and reads height × pitch bytes, as checked above. It allocates and moves what `bytes` points to,
    // and leaves it valid whatever happens, to be freed by its owner.
    let answer = unsafe {
        raw::tj3Compress8(
            instance.0.as_ptr(),
            pixels.as_ptr(),
            width.into(),
            row as c_int,
            height.into(),
            samples.format(),
            &mut encoded.bytes,
            &mut encoded.length,
        )
    };
    instance.check(answer)?;
    Ok(encoded)
}

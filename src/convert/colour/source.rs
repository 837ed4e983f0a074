//! The colours of one upload, read once: what they mean, and what could not be followed.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use flate2::bufread::ZlibDecoder;
use moxcms::{ColorProfile, Transform8BitExecutor};

use super::curve::Curve;
use super::icc::Icc;
use super::matrix::{Matrix, is_srgb};
use super::space::{self, Space};
use super::{Colours, Inks, Kind, MAX_PROFILE, Told, inks, noted};
use crate::convert::pixels::Layout;
use crate::verdict::{Note, Notes};

/// What an ICC segment of a JPEG starts with; its number and the count of all follow.
pub(in crate::convert) const SEGMENT: &[u8] = b"ICC_PROFILE\0";
/// White, red, green and blue of BT.709, and so of sRGB, as PNG writes them.
const BT709: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];

/// The colours of one upload.
pub(in crate::convert) struct Source<'a> {
    meaning: Meaning,
    /// The profile, where it is a sound one for RGB.
    profile: Option<Cow<'a, [u8]>>,
    /// The longest profile that may be learned, in bytes.
    #[cfg_attr(not(feature = "jxl"), allow(dead_code, reason = "only JPEG XL packs profiles"))]
    unpacked: usize,
    /// What could not be followed.
    pub(in crate::convert) notes: Notes,
}

enum Meaning {
    Srgb,
    Greys(Rc<Space>),
    Colours(Box<ColorProfile>),
    Inks(Arc<Transform8BitExecutor>),
}

impl<'a> Source<'a> {
    /// Reads what `colours` says of `upload`. Never fails: what cannot be followed is noted, and means sRGB.
    pub(in crate::convert) fn read(upload: &'a [u8], colours: Colours) -> Self {
        let (mut profile, mut unpacked) = (None, 0);
        let meaning = match colours.told {
            Told::Nothing => Ok(Meaning::Srgb),
            Told::Curve { gamma, corners } => of_curve(gamma, corners, colours.kind),
            Told::Coded { primaries, transfer } => of_code(primaries, transfer, colours.kind),
            Told::Packed { most } => {
                unpacked = most.min(MAX_PROFILE as u64) as usize;
                Ok(Meaning::Srgb)
            }
            told => gathered(upload, told).and_then(|bytes| {
                let (meaning, length) = of_profile(&bytes, colours.kind)?;
                profile = Some(cut(bytes, length)).filter(|_| colours.kind == Kind::Rgb);
                Ok(meaning)
            }),
        };
        let (meaning, notes) = match meaning {
            Ok(meaning) => (meaning, Notes::NONE),
            Err(note) => (Meaning::Srgb, noted(note)),
        };
        Self {
            meaning,
            profile,
            unpacked,
            notes,
        }
    }

    /// Reads the profile that a decoder unpacked, of a file whose colours are [`Told::Packed`]. As [`Source::read`], it never fails.
    #[cfg_attr(not(feature = "jxl"), allow(dead_code, reason = "only JPEG XL packs profiles"))]
    pub(in crate::convert) fn learn(&mut self, profile: &[u8], kind: Kind) {
        if profile.len() > self.unpacked {
            self.notes = self.notes.with(Note::OversizedProfile);
            return;
        }
        match of_profile(profile, kind) {
            Ok((meaning, length)) => {
                self.meaning = meaning;
                let own = profile.get(..length).unwrap_or(profile);
                self.profile = (kind == Kind::Rgb).then(|| Cow::Owned(own.to_vec()));
            }
            Err(note) => self.notes = self.notes.with(note),
        }
    }

    /// The upload's own profile, where it is a sound one for RGB pixels.
    pub(in crate::convert) fn profile(&self) -> Option<&[u8]> {
        self.profile.as_deref()
    }

    /// The way to sRGB for decoded pixels of a layout; nothing where they are there. What turns out to have no way is noted.
    pub(in crate::convert) fn space(&mut self, layout: Layout) -> Option<Rc<Space>> {
        match &self.meaning {
            Meaning::Srgb | Meaning::Inks(_) => None,
            Meaning::Greys(space) => Some(Rc::clone(space)),
            Meaning::Colours(profile) => {
                let space = Space::of_colours(profile, layout);
                if space.is_none() {
                    self.notes = self.notes.with(Note::BrokenProfile);
                    self.profile = None;
                }
                space.map(Rc::new)
            }
        }
    }

    /// Pixels of four inks to pixels of three channels in sRGB, in place.
    pub(in crate::convert) fn paint(&self, bytes: Vec<u8>, stored: Inks) -> Vec<u8> {
        let transform = match &self.meaning {
            Meaning::Inks(transform) => Some(transform),
            _ => None,
        };
        inks::paint(bytes, stored, transform)
    }
}

/// The profile's bytes, put together where they are in parts.
fn gathered(upload: &[u8], told: Told) -> Result<Cow<'_, [u8]>, Note> {
    let part = |at: usize, length: usize| upload.get(at..at.checked_add(length)?);
    match told {
        Told::Profile { at, length } => part(at, length).map(Cow::Borrowed).ok_or(Note::BrokenProfile),
        Told::Deflated { at, length, inflated } => {
            let stream = part(at, length).ok_or(Note::BrokenProfile)?;
            let most = inflated.min(MAX_PROFILE as u64 + 1);
            let mut bytes = Vec::with_capacity(most as usize);
            let read = ZlibDecoder::new(stream).take(most).read_to_end(&mut bytes);
            read.map(|_| Cow::Owned(bytes)).map_err(|_| Note::BrokenProfile)
        }
        Told::Segments { at, length } if length <= MAX_PROFILE as u64 => segments(upload, at).map(Cow::Owned),
        _ => Err(Note::OversizedProfile),
    }
}

/// Without what the container has behind the profile.
fn cut(bytes: Cow<'_, [u8]>, length: usize) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..length).unwrap_or(bytes)),
        Cow::Owned(mut bytes) => {
            bytes.truncate(length);
            Cow::Owned(bytes)
        }
    }
}

/// The parts of a profile in a JPEG, from the marker of the first on, in the order of their numbers.
fn segments(upload: &[u8], mut at: usize) -> Result<Vec<u8>, Note> {
    let mut parts: Vec<Option<&[u8]>> = Vec::new();
    // Up to the first scan; every turn goes on by two bytes at least.
    while let Some(&[0xff, marker, high, low]) = upload.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if marker == 0xff {
            at += 1;
            continue;
        }
        if marker == 0xda || length < 2 {
            break;
        }
        let body = upload.get(at + 4..at + 2 + length).ok_or(Note::BrokenProfile)?;
        if let (0xe2, Some([number, count, part @ ..])) = (marker, body.strip_prefix(SEGMENT)) {
            parts.resize(usize::from(*count).max(parts.len()), None);
            let place = usize::from(*number)
                .checked_sub(1)
                .and_then(|index| parts.get_mut(index));
            place.ok_or(Note::BrokenProfile)?.get_or_insert(part);
        }
        at += 2 + length;
    }
    let all: Option<Vec<&[u8]>> = parts.into_iter().collect();
    all.map(|parts| parts.concat()).ok_or(Note::BrokenProfile)
}

/// What a profile means, and its own length.
fn of_profile(bytes: &[u8], kind: Kind) -> Result<(Meaning, usize), Note> {
    let icc = Icc::read(bytes)?;
    let meaning = match (icc.kind, kind) {
        (Kind::Grey, Kind::Grey) => {
            let curve = icc.curve(b"kTRC").ok_or(Note::BrokenProfile)?;
            Ok(of_greys(&curve, icc.lab))
        }
        (Kind::Rgb, Kind::Rgb | Kind::Grey) => of_colours(&icc),
        (Kind::Inks, Kind::Inks) => {
            let table = icc.table().ok_or(Note::BrokenProfile)?;
            let profile = ColorProfile::new_from_slice(&table).map_err(|_| Note::BrokenProfile)?;
            space::inks(&profile).map(Meaning::Inks).ok_or(Note::BrokenProfile)
        }
        _ => Err(Note::MismatchedProfile),
    };
    Ok((meaning?, icc.length()))
}

fn of_colours(icc: &Icc<'_>) -> Result<Meaning, Note> {
    let read = icc.table().map(|table| ColorProfile::new_from_slice(&table));
    if let Some(Ok(profile)) = read
        && Space::of_colours(&profile, Layout::Rgb).is_some()
    {
        return Ok(Meaning::Colours(Box::new(profile)));
    }
    let all = |names: [&[u8; 4]; 3]| -> Option<[[f64; 3]; 3]> {
        let [red, green, blue] = names.map(|name| icc.colorant(name));
        Some([red?, green?, blue?])
    };
    let colorants = all([b"rXYZ", b"gXYZ", b"bXYZ"]).ok_or(Note::BrokenProfile)?;
    let [red, green, blue] = [b"rTRC", b"gTRC", b"bTRC"].map(|name| icc.curve(name));
    let (Some(red), Some(green), Some(blue)) = (red, green, blue) else {
        return Err(Note::BrokenProfile);
    };
    Ok(of_matrix(&Matrix {
        colorants,
        curves: [red, green, blue],
    }))
}

fn of_matrix(matrix: &Matrix<'_>) -> Meaning {
    if matrix.is_srgb() {
        Meaning::Srgb
    } else {
        Meaning::Colours(Box::new(matrix.profile()))
    }
}

fn of_greys(curve: &Curve<'_>, lab: bool) -> Meaning {
    if !lab && is_srgb(curve) {
        Meaning::Srgb
    } else {
        Meaning::Greys(Rc::new(Space::of_greys(curve, lab)))
    }
}

/// Gamma as PNG writes it, and chromaticities. A gamma within a twentieth of 1/2.2 means sRGB's curve, as it does to other readers.
fn of_curve(gamma: u32, corners: Option<[u32; 8]>, kind: Kind) -> Result<Meaning, Note> {
    let gamma = f64::from(gamma) / 100_000.0;
    if !(0.01..=100.0).contains(&gamma) {
        return Err(Note::BrokenProfile);
    }
    let curve = if (gamma * 2.2 - 1.0).abs() < 0.05 {
        Curve::Srgb
    } else {
        Curve::Gamma(1.0 / gamma)
    };
    if kind == Kind::Grey {
        return Ok(of_greys(&curve, false));
    }
    let number = |number: u32| f64::from(number) / 100_000.0;
    let corners = corners.unwrap_or(BT709);
    let corners = [0, 2, 4, 6].map(|at| (number(corners[at]), number(corners[at + 1])));
    Ok(of_matrix(&Matrix {
        colorants: Matrix::colorants(corners).ok_or(Note::BrokenProfile)?,
        curves: [curve; 3],
    }))
}

/// Code points of ITU-T H.273.
fn of_code(primaries: u8, transfer: u8, kind: Kind) -> Result<Meaning, Note> {
    const D65: (f64, f64) = (0.3127, 0.3290);
    let [red, green, blue] = match primaries {
        1 => [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)],
        5 => [(0.64, 0.33), (0.29, 0.60), (0.15, 0.06)],
        6 | 7 => [(0.630, 0.340), (0.310, 0.595), (0.155, 0.070)],
        9 => [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)],
        12 => [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)],
        _ => return Err(Note::UnsupportedProfile),
    };
    let curve = match transfer {
        1 | 6 | 14 | 15 => Curve::Video,
        4 => Curve::Gamma(2.2),
        5 => Curve::Gamma(2.8),
        8 => Curve::Gamma(1.0),
        13 => Curve::Srgb,
        _ => return Err(Note::UnsupportedProfile),
    };
    if kind == Kind::Grey {
        return Ok(of_greys(&curve, false));
    }
    Ok(of_matrix(&Matrix {
        colorants: Matrix::colorants([D65, red, green, blue]).ok_or(Note::BrokenProfile)?,
        curves: [curve; 3],
    }))
}

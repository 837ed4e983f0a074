//! Profiles in every container, through the whole conversion; profiles that lie; and what the library makes of noise.

use jpeg_encoder::{ColorType, SamplingFactor};
use moxcms::{ColorProfile, ToneReprCurve};
use proptest::prelude::*;

use super::*;
use crate::convert::samples::{self, Tiff};
use crate::convert::tests::{made, read_back};
use crate::recipe::{Recipe, Rendition, Target};

/// A profile of a device: header, tags.
pub(in crate::convert) fn profile(
    version: u8,
    space: &[u8; 4],
    pcs: &[u8; 4],
    tags: &[(&[u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes[8] = version;
    bytes[12..16].copy_from_slice(b"prtr");
    bytes[16..20].copy_from_slice(space);
    bytes[20..24].copy_from_slice(pcs);
    bytes[36..40].copy_from_slice(b"acsp");
    bytes.extend((tags.len() as u32).to_be_bytes());
    let mut at = 132 + tags.len() * 12;
    for (name, data) in tags {
        bytes.extend(*name);
        bytes.extend((at as u32).to_be_bytes());
        bytes.extend((data.len() as u32).to_be_bytes());
        at += data.len();
    }
    tags.iter().for_each(|(_, data)| bytes.extend(data));
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A gamma as a tag.
fn gamma(gamma: f64) -> Vec<u8> {
    [&b"curv\0\0\0\0\0\0\0\x01"[..], &((gamma * 256.0) as u16).to_be_bytes()].concat()
}

/// A table of 8 bits with two steps a channel, from these corners in Lab: L 0 to 255, a and b around 128.
fn table(channels: u8, corners: &[[u8; 3]]) -> Vec<u8> {
    let mut tag = b"mft1\0\0\0\0".to_vec();
    tag.extend([channels, 3, 2, 0]);
    for number in [1, 0, 0, 0, 1, 0, 0, 0, 1] {
        tag.extend((number * 65_536_i32).to_be_bytes());
    }
    let straight: Vec<u8> = (0..=255).collect();
    tag.extend(straight.repeat(channels.into()));
    tag.extend(corners.concat());
    tag.extend(straight.repeat(3));
    tag
}

/// Four inks that make paper bluish: white is L 90, b −10; each ink darkens alike.
fn inks() -> Vec<u8> {
    let corners: Vec<[u8; 3]> = (0..16_u32)
        .map(|inks| [230 - inks.count_ones() as u8 * 50, 128, 118])
        .collect();
    profile(2, b"CMYK", b"Lab ", &[(b"A2B0", table(4, &corners))])
}

/// Segments of a JPEG that hold a profile in this many parts, the last one first.
fn segments(profile: &[u8], parts: usize) -> Vec<u8> {
    let length = profile.len().div_ceil(parts);
    let parts: Vec<&[u8]> = profile.chunks(length).collect();
    let segment = |(index, part): (usize, &&[u8])| {
        let mut bytes = b"\xff\xe2".to_vec();
        bytes.extend((16 + part.len() as u16).to_be_bytes());
        bytes.extend(ICC_SEGMENT);
        bytes.extend([index as u8 + 1, parts.len() as u8]);
        bytes.extend(*part);
        bytes
    };
    parts.iter().enumerate().rev().flat_map(segment).collect()
}

fn in_jpeg(jpeg: &[u8], profile: &[u8], parts: usize) -> Vec<u8> {
    [&jpeg[..2], &segments(profile, parts), &jpeg[2..]].concat()
}

/// The `iCCP` chunk of a profile.
fn chunk(profile: &[u8]) -> Vec<u8> {
    samples::chunk(b"iCCP", &[b"name\0\0", &samples::deflated(profile)[..]].concat())
}

fn png(colour: u8, more: &[Vec<u8>]) -> Vec<u8> {
    samples::png((40, 30), colour, 8, false, more)
}

fn recipe(renditions: &[(&str, Option<u32>)]) -> Recipe {
    let rendition = |&(name, width): &(&str, Option<u32>)| Rendition {
        format: Target::Png,
        width,
        ..Rendition::named(name)
    };
    Recipe::new(renditions.iter().map(rendition).collect()).unwrap()
}

/// The pixels of the whole picture, converted, and the notes.
fn whole(upload: &[u8]) -> (Vec<u8>, Notes) {
    let (made, output) = made(upload, &recipe(&[("whole", None)]));
    (read_back(&output).bytes, made[0].notes)
}

/// What became of the first colour sample of this value.
fn became(value: u8, plain: &[u8], converted: &[u8]) -> u8 {
    assert_eq!(plain.len(), converted.len());
    let alpha = plain.len() == 40 * 30 * 4;
    let mut pairs = plain.iter().zip(converted).enumerate();
    let found = pairs.find(|(index, (plain, _))| **plain == value && !(alpha && index % 4 == 3));
    *found.unwrap().1.1
}

fn furthest(one: &[u8], other: &[u8]) -> u8 {
    assert_eq!(one.len(), other.len());
    one.iter()
        .zip(other)
        .map(|(one, other)| one.abs_diff(*other))
        .max()
        .unwrap()
}

#[test]
fn every_container_is_heard() {
    let (plain, _) = whole(&png(2, &[]));
    let (expected, notes) = whole(&png(2, &[chunk(&samples::p3())]));
    assert!(notes.is_empty() && furthest(&plain, &expected) > 20);

    let tiff = Tiff::plain(40, 30).bytes();
    let still = samples::webp(40, 30, false, true);
    let webp = samples::riff(&[
        samples::extended(32, 40, 30),
        samples::riff_chunk(b"ICCP", &samples::p3()),
        still[12..].to_vec(),
    ]);
    for upload in [with_profile(&tiff, &samples::p3()), webp, bmp(&samples::p3())] {
        let (seen, notes) = whole(&upload);
        assert!(notes.is_empty() && seen == expected, "{:?}", &upload[..4]);
    }

    let photo = samples::jpeg(40, 30, ColorType::Rgb, SamplingFactor::R_4_4_4, false);
    let (expected, _) = whole(&in_jpeg(&photo, &samples::p3(), 1));
    assert!(furthest(&whole(&photo).0, &expected) > 20);
    assert_eq!(whole(&in_jpeg(&photo, &samples::p3(), 7)).0, expected);
}

/// A TIFF of `samples` with tag 34675: its directory is at the end.
fn with_profile(tiff: &[u8], profile: &[u8]) -> Vec<u8> {
    let start = u32::from_le_bytes(tiff[4..8].try_into().unwrap()) as usize;
    let mut bytes = tiff[..start].to_vec();
    let place = bytes.len() as u32;
    bytes.extend(profile);
    let directory = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&directory.to_le_bytes());
    let count = u16::from_le_bytes(tiff[start..start + 2].try_into().unwrap());
    bytes.extend((count + 1).to_le_bytes());
    bytes.extend(&tiff[start + 2..tiff.len() - 4]);
    bytes.extend(34_675_u16.to_le_bytes());
    bytes.extend(7_u16.to_le_bytes());
    bytes.extend((profile.len() as u32).to_le_bytes());
    bytes.extend(place.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// The same pixels as a BMP of version 5.
fn bmp(profile: &[u8]) -> Vec<u8> {
    let plain = samples::bmp(40, 30, 3);
    let start = u32::from_le_bytes(plain[10..14].try_into().unwrap()) as usize;
    let pixels = &plain[start..];
    let mut header = vec![0; 124];
    header[..40].copy_from_slice(&plain[14..54]);
    header[..4].copy_from_slice(&124_u32.to_le_bytes());
    header[56..60].copy_from_slice(&u32::from_be_bytes(*b"MBED").to_le_bytes());
    header[112..116].copy_from_slice(&(124 + pixels.len() as u32).to_le_bytes());
    header[116..120].copy_from_slice(&(profile.len() as u32).to_le_bytes());
    let mut file = plain[..14].to_vec();
    file[10..14].copy_from_slice(&138_u32.to_le_bytes());
    [&file, &header, pixels, profile].concat()
}

#[test]
fn srgb_in_any_spelling_changes_nothing() {
    let (plain, _) = whole(&png(2, &[]));
    let mut tables = ColorProfile::new_srgb();
    let light = |step: u32| (curve::from_srgb(f64::from(step) / 1023.0) * 65_535.0) as u16;
    let curve = Some(ToneReprCurve::Lut((0..1024).map(light).collect()));
    (tables.red_trc, tables.green_trc, tables.blue_trc) = (curve.clone(), curve.clone(), curve);
    let srgb = samples::chunk(b"sRGB", &[0]);
    let gamma = samples::chunk(b"gAMA", &45_455_u32.to_be_bytes());
    let wide = samples::chunk(b"gAMA", &100_000_u32.to_be_bytes());
    let coded = samples::chunk(b"cICP", &[1, 13, 0, 1]);
    for more in [
        vec![chunk(&tables.encode().unwrap())],
        vec![chunk(&ColorProfile::new_srgb().encode().unwrap())],
        vec![gamma],
        vec![wide, srgb],
        vec![chunk(&samples::p3()), coded],
    ] {
        assert_eq!(whole(&png(2, &more)), (plain.clone(), Notes::NONE));
    }
}

#[test]
fn gamma_and_corners_make_a_space() {
    // Display P3, spelt in PNG's chunks but for its curve.
    let corners = [31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000_u32]
        .map(u32::to_be_bytes)
        .concat();
    let spelt = [
        samples::chunk(b"cHRM", &corners),
        samples::chunk(b"gAMA", &45_455_u32.to_be_bytes()),
    ];
    let coded = samples::chunk(b"cICP", &[12, 13, 0, 1]);
    let (expected, _) = whole(&png(2, &[chunk(&samples::p3())]));
    for more in [&spelt[..], &[coded]] {
        assert!(furthest(&whole(&png(2, more)).0, &expected) <= 2);
    }
    // Light as it is: a sample of 55 is 128 in sRGB.
    let linear = samples::chunk(b"gAMA", &100_000_u32.to_be_bytes());
    for colour in [0, 2, 4, 6] {
        let light = whole(&png(colour, std::slice::from_ref(&linear))).0;
        let seen = became(55, &whole(&png(colour, &[])).0, &light);
        assert!((127..=129).contains(&seen), "{colour}: {seen}");
    }
}

#[test]
fn greys_follow_their_curve() {
    let grey = |pcs, power| profile(2, b"GRAY", pcs, &[(b"kTRC", gamma(power))]);
    let jpeg = samples::jpeg(40, 30, ColorType::Luma, SamplingFactor::R_4_4_4, false);
    for (upload, plain) in [
        (png(0, &[chunk(&grey(b"XYZ ", 1.0))]), png(0, &[])),
        (png(4, &[chunk(&grey(b"XYZ ", 1.0))]), png(4, &[])),
        (in_jpeg(&jpeg, &grey(b"XYZ ", 1.0), 1), jpeg.clone()),
    ] {
        let (converted, notes) = whole(&upload);
        let seen = became(55, &whole(&plain).0, &converted);
        assert!(notes.is_empty() && (127..=129).contains(&seen), "{seen}");
    }
    // Even steps of lightness: half of it is the middle grey, 119.
    let (converted, _) = whole(&png(0, &[chunk(&grey(b"Lab ", 1.0))]));
    let middle = became(128, &whole(&png(0, &[])).0, &converted);
    assert!((118..=120).contains(&middle), "{middle}");
    // A profile of three channels for one.
    let (seen, notes) = whole(&in_jpeg(&jpeg, &samples::p3(), 1));
    assert!(notes.is_empty() && furthest(&seen, &whole(&jpeg).0) <= 1);
}

#[test]
fn inks_follow_their_profile() {
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let mut paper = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut paper, 95);
        encoder.encode(&[0; 16 * 16 * 4], 16, 16, kind).unwrap();
        let (seen, notes) = whole(&in_jpeg(&paper, &inks(), 2));
        // L 90.2, a 0, b −10 in sRGB.
        let off = furthest(&seen[..3], &[220, 228, 246]);
        assert!(notes.is_empty() && off < 4, "{kind:?}: {:?}", &seen[..3]);
        assert_eq!(whole(&paper).0[..3], [255; 3], "{kind:?}");
    }
    for bits in [8, 16] {
        let tiff = Tiff {
            channels: 4,
            bits,
            ..Tiff::plain(40, 30)
        };
        let mut tiff = tiff.bytes();
        let strips = 8..8 + 40 * 30 * 4 * usize::from(bits / 8);
        tiff[strips].fill(0);
        // Of light and alpha it is made one of inks.
        let directory = u32::from_le_bytes(tiff[4..8].try_into().unwrap()) as usize;
        let entries = tiff[directory + 2..].as_chunks_mut::<12>().0;
        let find = |tag: u16| move |entry: &&mut [u8; 12]| entry[..2] == tag.to_le_bytes();
        entries.iter_mut().find(find(262)).unwrap()[8] = 5;
        entries.iter_mut().find(find(338)).unwrap()[0] = 0xff;
        let (seen, notes) = whole(&with_profile(&tiff, &inks()));
        assert!(
            notes.is_empty() && furthest(&seen[..3], &[220, 228, 246]) < 4,
            "{bits}: {:?}",
            &seen[..3]
        );
        assert_eq!(whole(&tiff).0[..3], [255; 3], "{bits}");
    }
}

#[test]
fn what_cannot_be_followed_is_noted_and_means_srgb() {
    let (plain, _) = whole(&png(2, &[]));
    let mut short = samples::p3();
    short.truncate(200);
    let link = {
        let mut link = samples::p3();
        link[12..16].copy_from_slice(b"link");
        link
    };
    let hdr = samples::chunk(b"cICP", &[9, 16, 0, 1]);
    let flat = samples::chunk(b"cHRM", &[0; 32]);
    let gamma_only = samples::chunk(b"gAMA", &0_u32.to_be_bytes());
    for (more, note) in [
        (vec![chunk(b"nonsense")], Note::BrokenProfile),
        (vec![chunk(&short)], Note::BrokenProfile),
        (vec![samples::chunk(b"iCCP", b"name\0\0nonsense")], Note::BrokenProfile),
        (vec![chunk(&profile(2, b"RGB ", b"XYZ ", &[]))], Note::BrokenProfile),
        (vec![chunk(&inks())], Note::MismatchedProfile),
        (
            vec![chunk(&profile(2, b"GRAY", b"XYZ ", &[(b"kTRC", gamma(1.0))]))],
            Note::MismatchedProfile,
        ),
        (vec![chunk(&link)], Note::UnsupportedProfile),
        (vec![hdr], Note::UnsupportedProfile),
        (
            vec![flat, samples::chunk(b"gAMA", &45_455_u32.to_be_bytes())],
            Note::BrokenProfile,
        ),
        (vec![gamma_only], Note::BrokenProfile),
    ] {
        assert_eq!(whole(&png(2, &more)), (plain.clone(), noted(note)), "{note:?}");
    }
    let photo = samples::photo(40, 30);
    let huge = in_jpeg(&photo, &vec![0; MAX_PROFILE + 1], 100);
    assert_eq!(whole(&huge), (whole(&photo).0, noted(Note::OversizedProfile)));
    let mut missing = in_jpeg(&photo, &samples::p3(), 3);
    let third = samples::p3().len().div_ceil(3);
    missing.drain(2..2 + 18 + samples::p3().len() - 2 * third);
    assert_eq!(whole(&missing).1, noted(Note::BrokenProfile));
}

#[test]
fn before_and_after_the_resize_is_the_same_to_the_eye() {
    // Too large for a scaled decoder, which would make a difference of its own.
    let photo = include_bytes!("../../../fixtures/valid/photos/astronaut_baseline.jpg");
    let upload = in_jpeg(photo, &samples::p3(), 1);
    let (after, small) = made(&upload, &recipe(&[("small", Some(300))]));
    let (before, both) = made(&upload, &recipe(&[("small", Some(300)), ("whole", None)]));
    assert_eq!((after.len(), before.len()), (1, 2));
    let (after, before) = (
        read_back(&small).bytes,
        read_back(&both[..before[0].bytes as usize]).bytes,
    );
    let apart: Vec<u64> = after
        .iter()
        .zip(&before)
        .map(|(one, other)| one.abs_diff(*other).into())
        .collect();
    let (sum, far) = (
        apart.iter().sum::<u64>(),
        apart.iter().filter(|&&apart| apart > 4).count(),
    );
    let count = apart.len();
    assert!(
        (sum as usize) * 2 < count && far * 50 < count,
        "{sum}, {far} of {count}"
    );
    // And it is no matter of chance: conversion itself changes much more.
    let (_, plain) = made(photo, &recipe(&[("small", Some(300))]));
    let plain = read_back(&plain).bytes;
    let changed: u64 = plain
        .iter()
        .zip(&after)
        .map(|(one, other)| u64::from(one.abs_diff(*other)))
        .sum();
    assert!(changed > sum * 4, "{changed}, {sum}");
}

#[test]
fn alpha_is_left_alone() {
    let (plain, _) = whole(&png(6, &[]));
    let (seen, _) = whole(&png(6, &[chunk(&samples::p3())]));
    assert!(
        plain
            .chunks(4)
            .zip(seen.chunks(4))
            .all(|(plain, seen)| plain[3] == seen[3])
    );
    let opaque = |pixels: &[u8]| {
        pixels
            .chunks(4)
            .flat_map(|pixel| pixel[..3].to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(opaque(&seen), whole(&png(2, &[chunk(&samples::p3())])).0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// No panic, and pixels come out, whatever is done to a profile's bytes.
    #[test]
    fn damaged_profiles_do_no_harm(which in 0..4_usize, damage in prop::collection::vec((0..2000_usize, any::<u8>()), 1..8)) {
        let steps: Vec<[u8; 3]> = (0..8).map(|corner| [corner * 30, 100 + corner * 7, 150]).collect();
        let (kind, mut bytes) = match which {
            0 => (Kind::Rgb, samples::p3()),
            1 => (Kind::Inks, inks()),
            2 => (Kind::Rgb, profile(4, b"RGB ", b"Lab ", &[(b"A2B0", table(3, &steps))])),
            _ => (Kind::Rgb, profile(4, b"RGB ", b"XYZ ", &[(b"A2B1", multistage())])),
        };
        for (place, value) in damage {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        let told = Told::Profile { at: 0, length: bytes.len() };
        let mut source = Source::read(&bytes, Colours { kind, told });
        let pixels: Vec<u8> = (0..=255).collect();
        if kind == Kind::Inks {
            prop_assert_eq!(source.paint(pixels, Inks::Inverted).len(), 192);
        } else if let Some(space) = source.space(crate::convert::pixels::Layout::Rgba) {
            let mut seen = pixels;
            space.convert(crate::convert::pixels::Layout::Rgba, &mut seen);
        }
    }
}

/// A table of version 4: curves, a grid of two steps, curves, a matrix, curves.
fn multistage() -> Vec<u8> {
    let curve = [&gamma(1.8)[..], &[0; 2]].concat();
    let curves = curve.repeat(3);
    let mut grid = vec![0; 16];
    grid[..3].copy_from_slice(&[2, 2, 2]);
    grid.extend([1, 0, 0, 0]);
    grid.extend((0..24).map(|step| step * 10));
    let numbers = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        .map(|number: i32| (number * 65_536).to_be_bytes())
        .concat();
    let mut tag = b"mAB \0\0\0\0\x03\x03\0\0".to_vec();
    let mut at = 32;
    for part in [&curves, &numbers, &curves, &grid, &curves] {
        tag.extend((at as u32).to_be_bytes());
        at += part.len();
    }
    [tag, curves.clone(), numbers, curves.clone(), grid, curves].concat()
}

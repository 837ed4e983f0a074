//! Both sides of each limit, lies in headers, and bytes that make no sense.

use bytesize::ByteSize;
use jpeg_encoder::{ColorType, SamplingFactor};
use proptest::prelude::*;

use super::*;
use crate::convert::inspect;
use crate::convert::samples::{self, Tiff};
use crate::format::Switch;
use crate::recipe::{Recipe, Rendition};

fn recipe() -> Recipe {
    Recipe::new(vec![Rendition {
        width: Some(32),
        ..Rendition::named("thumb")
    }])
    .unwrap()
}

fn refusal(upload: &[u8], limits: &Limits) -> Refusal {
    inspect(upload, &recipe(), limits).unwrap_err()
}

/// `upload` passes with `just`, and is refused for `limit` with one less.
fn both_sides(upload: &[u8], limit: &str, seen: u64, set: impl Fn(&mut Limits, u64)) {
    let mut limits = Limits::default();
    set(&mut limits, seen);
    inspect(upload, &recipe(), &limits).unwrap();
    set(&mut limits, seen - 1);
    let exceeded = refusal(upload, &limits).exceeded.unwrap();
    assert_eq!(
        (exceeded.limit.as_str(), exceeded.seen, exceeded.allowed),
        (limit, seen, seen - 1)
    );
}

fn valid() -> Vec<Vec<u8>> {
    let metadata = [samples::chunk(
        b"zTXt",
        &[b"k\0\0", &samples::deflated(&[7; 5000])[..]].concat(),
    )];
    vec![
        samples::turned(&samples::photo(40, 30), 6),
        samples::jpeg(40, 30, ColorType::Rgb, SamplingFactor::R_4_2_0, true),
        samples::png((40, 30), 6, 16, true, &metadata),
        samples::gif(40, 30, 3),
        samples::animated(&samples::webp(40, 30, false, false), 40, 30, 3),
        samples::webp(40, 30, true, true),
        samples::bmp(40, 30, 3),
        samples::ico(&[
            ((16, 16), samples::icon_bitmap(16, 16)),
            ((40, 30), samples::png((40, 30), 6, 8, false, &[])),
        ]),
        samples::ico(&[((40, 30), samples::icon_bitmap(40, 30))]),
        samples::qoi(40, 30, 4),
        samples::pnm(40, 30, 5, 65_535),
        samples::pnm(40, 30, 7, 255),
        Tiff {
            tile: Some(16),
            deflate: true,
            ..Tiff::plain(40, 30)
        }
        .bytes(),
    ]
}

/// Files of formats that may be absent from a build; no drawing by chance, which would be drawn.
fn optional() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    if Format::Jxl.built() {
        files.push(include_bytes!("../../../fixtures/codec/lossy_alpha.jxl").to_vec());
        files.push(include_bytes!("../../../fixtures/codec/container.jxl").to_vec());
    }
    if Format::Avif.built() {
        files.push(include_bytes!("../../../fixtures/codec/444_10_alpha.avif").to_vec());
        files.push(include_bytes!("../../../fixtures/codec/grid.avif").to_vec());
    }
    #[cfg(feature = "svg")]
    files.push(samples::svg(
        40,
        30,
        r##"<mask id="m"><use href="#r"/></mask><rect id="r" style="mask:url(#m)"/>"##,
    ));
    files.push(samples::bmp(40, 30, 4));
    files
}

#[test]
fn pixels_of_optional_formats_are_limited() {
    for upload in optional() {
        let size = inspect(&upload, &recipe(), &Limits::default()).unwrap();
        let pixels = u64::from(size.width) * u64::from(size.height);
        both_sides(&upload, "pixels", pixels, |limits, value| limits.pixels = value);
    }
}

#[test]
fn pixels_are_limited_in_every_format() {
    for upload in valid() {
        both_sides(&upload, "pixels", 1200, |limits, value| limits.pixels = value);
    }
}

#[test]
fn frames_are_limited() {
    let set = |limits: &mut Limits, value| limits.frame_pixels = value;
    both_sides(&samples::gif(40, 30, 3), "frame_pixels", 3600, set);
    let still = samples::webp(40, 30, false, false);
    both_sides(&samples::animated(&still, 40, 30, 5), "frame_pixels", 6000, set);
    let claim = samples::chunk(b"acTL", &[0, 0, 0, 9, 0, 0, 0, 0]);
    both_sides(
        &samples::png((40, 30), 2, 8, false, std::slice::from_ref(&claim)),
        "frame_pixels",
        10_800,
        set,
    );
    let control = samples::chunk(b"fcTL", &[0; 26]);
    let many = [vec![claim], vec![control; 11]].concat();
    both_sides(&samples::png((40, 30), 2, 8, false, &many), "frame_pixels", 13_200, set);
}

#[test]
fn a_gif_frame_beyond_its_screen_counts() {
    let mut gif = samples::gif(40, 30, 1);
    gif[6..10].copy_from_slice(&[1, 0, 1, 0]);
    both_sides(&gif, "pixels", 1200, |limits, value| limits.pixels = value);
}

#[test]
fn scans_are_limited() {
    let jpeg = samples::jpeg(40, 30, ColorType::Rgb, SamplingFactor::R_4_2_0, true);
    let scans = jpeg.windows(2).filter(|window| window == b"\xff\xda").count() as u64;
    assert!(scans > 2);
    both_sides(&jpeg, "scans", scans, |limits, value| limits.scans = value);
}

#[test]
fn inflated_metadata_is_limited() {
    let set = |limits: &mut Limits, value| limits.inflated_metadata = ByteSize(value);
    let bomb = samples::deflated(&vec![0; 300_000]);
    let profile = samples::chunk(b"iCCP", &[b"name\0\0", &bomb[..]].concat());
    let latin = samples::chunk(b"zTXt", &[b"name\0\0", &bomb[..]].concat());
    let international = samples::chunk(b"iTXt", &[b"name\0\x01\0en\0nom\0", &bomb[..]].concat());
    for chunk in [profile, latin, international] {
        let once = samples::png((40, 30), 2, 8, false, std::slice::from_ref(&chunk));
        both_sides(&once, "inflated_metadata", 300_000, set);
        let twice = samples::png((40, 30), 2, 8, false, &[chunk.clone(), chunk]);
        let limits = Limits {
            inflated_metadata: ByteSize(500_000),
            ..Limits::default()
        };
        assert_eq!(refusal(&twice, &limits).exceeded.unwrap().limit, "inflated_metadata");
    }
    let still = samples::webp(40, 30, false, false);
    let profile = samples::riff_chunk(b"ICCP", &[0; 5000]);
    let webp = samples::riff(&[samples::extended(32, 40, 30), profile, still[12..].to_vec()]);
    both_sides(&webp, "inflated_metadata", 5000, set);
}

#[test]
fn tiff_directories_are_counted_and_may_not_circle() {
    let plain = Tiff::plain(40, 30).bytes();
    let mut chain = plain.clone();
    for _ in 0..9 {
        let next = chain.len() as u32;
        let tail = chain.len() - 4;
        chain[tail..].copy_from_slice(&next.to_le_bytes());
        chain.extend(samples::ifd(&[(256, 4, 1, 40)], 0));
    }
    both_sides(&chain, "directories", 10, |limits, value| limits.directories = value);
    let (start, tail) = (plain[4..8].to_vec(), plain.len() - 4);
    let mut circle = plain;
    circle[tail..].copy_from_slice(&start);
    assert_eq!(refusal(&circle, &Limits::default()).reason, Reason::Corrupt);
}

#[test]
fn tiff_strips_and_tiles_are_limited() {
    let set = |limits: &mut Limits, value| limits.strips = value;
    both_sides(
        &Tiff {
            rows: 3,
            ..Tiff::plain(40, 30)
        }
        .bytes(),
        "strips",
        10,
        set,
    );
    both_sides(
        &Tiff {
            tile: Some(16),
            ..Tiff::plain(40, 30)
        }
        .bytes(),
        "strips",
        6,
        set,
    );
}

#[test]
fn tiles_in_planes_must_fill_the_picture() {
    let planes = |height: u32| {
        let long = |tag: u16, value: u32| [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat();
        let entries = [
            long(256, 16),
            long(257, height),
            long(258, 8),
            long(262, 2),
            long(277, 3),
            long(284, 2),
            long(322, 16),
            long(323, 16),
            long(324, 0),
            long(325, 1),
        ];
        let directory = [&(entries.len() as u16).to_le_bytes()[..], &entries.concat(), &[0; 4]].concat();
        [&b"II\x2a\0\x08\0\0\0"[..], &directory].concat()
    };
    let refused = refusal(&planes(20), &Limits::default());
    assert_eq!(refused.reason, Reason::UnsupportedFormat, "{refused}");
    inspect(&planes(32), &recipe(), &Limits::default()).unwrap();
}

#[test]
fn a_small_tiff_with_a_huge_tile_is_refused() {
    let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
    file.extend(samples::ifd(
        &[
            (256, 4, 1, 1),
            (257, 4, 1, 1),
            (258, 3, 1, 8),
            (262, 3, 1, 1),
            (322, 4, 1, 20_000),
            (323, 4, 1, 20_000),
            (324, 4, 1, 8),
            (325, 4, 1, 1),
        ],
        0,
    ));
    let exceeded = refusal(&file, &Limits::default()).exceeded.unwrap();
    assert_eq!((exceeded.limit.as_str(), exceeded.seen), ("pixels", 400_000_000));
    assert!(
        inspect(
            &file,
            &recipe(),
            &Limits {
                pixels: u64::MAX,
                frame_pixels: u64::MAX,
                ..Limits::default()
            }
        )
        .is_ok()
    );
}

#[test]
fn tiff_values_and_strips_past_the_end_are_corrupt() {
    for lie in [
        (273, 4, 1, 0x7fff_ffff),
        (34_675, 7, 0x7fff_ffff, 8),
        (34_675, 12, 0xffff_ffff, 8),
    ] {
        let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
        file.extend(samples::ifd(&[(256, 4, 1, 1), (257, 4, 1, 1), (279, 4, 1, 1), lie], 0));
        assert_eq!(refusal(&file, &Limits::default()).reason, Reason::Corrupt);
    }
}

#[test]
fn memory_is_limited() {
    let upload = samples::photo(400, 300);
    let declared = inspect(&upload, &recipe(), &Limits::default()).unwrap().memory_bytes;
    both_sides(&upload, "memory", declared, |limits, value| {
        limits.memory = ByteSize(value)
    });
}

#[test]
fn what_is_not_read_is_named() {
    let limits = Limits::default();
    assert_eq!(refusal(b"", &limits).reason, Reason::Empty);
    assert_eq!(refusal(b"<html>", &limits).reason, Reason::UnsupportedFormat);
    assert!(refusal(b"II\x2b\0", &limits).detail.contains("BigTIFF"));
    let jpeg = samples::photo(40, 30);
    let frame = jpeg.windows(2).position(|window| window == b"\xff\xc0").unwrap();
    for (marker, word) in [(0xc3, "lossless"), (0xc5, "hierarchical"), (0xc9, "arithmetic")] {
        let mut other = jpeg.clone();
        other[frame + 1] = marker;
        assert!(refusal(&other, &limits).detail.contains(word));
    }
    let mut deep = jpeg.clone();
    deep[frame + 4] = 12;
    assert!(refusal(&deep, &limits).detail.contains("12 bits"));
}

#[test]
fn the_larger_of_two_frame_headers_counts() {
    let jpeg = samples::photo(40, 30);
    let frame = jpeg.windows(2).position(|window| window == b"\xff\xc0").unwrap();
    let mut larger = jpeg[frame..frame + 19].to_vec();
    larger[5..9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    for at in [frame, frame + 19] {
        let twice = [&jpeg[..at], &larger, &jpeg[at..]].concat();
        assert_eq!(refusal(&twice, &Limits::default()).reason, Reason::TooManyPixels);
    }
    // Between segments, decoders take `FF 00 C0` for `FF C0`.
    let hidden = [&jpeg[..frame], b"\xff\x00", &larger[1..], &jpeg[frame..]].concat();
    assert_eq!(refusal(&hidden, &Limits::default()).reason, Reason::TooManyPixels);
}

#[test]
fn huge_and_hollow_bmps_are_refused() {
    let mut bmp = samples::bmp(40, 30, 3);
    bmp[18..22].copy_from_slice(&(-40_i32).to_le_bytes());
    assert_eq!(refusal(&bmp, &Limits::default()).reason, Reason::Corrupt);
    bmp[18..22].copy_from_slice(&9000_i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&i32::MIN.to_le_bytes());
    assert_eq!(refusal(&bmp, &Limits::default()).reason, Reason::TooManyPixels);
    bmp[22..26].copy_from_slice(&(-9000_i32).to_le_bytes());
    assert!(refusal(&bmp, &Limits::default()).detail.contains("in the file"));
}

#[test]
fn a_format_that_is_off_is_named_with_its_setting() {
    for upload in valid() {
        let format = Format::sniff(&upload).unwrap();
        let formats = toml::from_str(&format!("{format} = \"off\"")).unwrap();
        let limits = Limits {
            formats,
            ..Limits::default()
        };
        let refusal = refusal(&upload, &limits);
        assert_eq!(refusal.reason, Reason::UnsupportedFormat);
        assert!(
            refusal.detail.contains(&format!("limits.formats.{format}")),
            "{refusal}"
        );
    }
}

#[test]
fn nested_pictures_of_icons_are_examined() {
    let mut huge = samples::png((40, 30), 2, 8, false, &[]);
    huge[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    let icon = samples::ico(&[((40, 30), huge)]);
    assert_eq!(refusal(&icon, &Limits::default()).reason, Reason::TooManyPixels);

    let text = samples::chunk(b"zTXt", &[b"k\0\0", &samples::deflated(&vec![0; 300_000])[..]].concat());
    let icon = samples::ico(&[((40, 30), samples::png((40, 30), 2, 8, false, &[text]))]);
    both_sides(&icon, "inflated_metadata", 300_000, |limits, value| {
        limits.inflated_metadata = ByteSize(value)
    });

    let icon = samples::ico(&[((40, 30), samples::png((40, 30), 2, 8, false, &[]))]);
    let mut limits = Limits::default();
    limits.formats.png = Switch::Off;
    assert!(refusal(&icon, &limits).detail.contains("limits.formats.png"));

    let mut bitmap = samples::icon_bitmap(40, 30);
    bitmap[4..8].copy_from_slice(&30_000_u32.to_le_bytes());
    let icon = samples::ico(&[((40, 30), bitmap)]);
    assert_eq!(refusal(&icon, &Limits::default()).reason, Reason::Corrupt);
}

#[test]
fn hollow_qoi_and_pnm_are_refused() {
    let limits = Limits::default();
    let mut qoi = samples::qoi(40, 30, 3);
    qoi[4..12].copy_from_slice(&[0, 0, 0x20, 0, 0, 0, 0x20, 0]);
    assert!(refusal(&qoi, &limits).detail.contains("in the file"));
    qoi[4..12].fill(0xff);
    assert_eq!(refusal(&qoi, &limits).reason, Reason::TooManyPixels);
    for header in [
        "P1 9000 9000\n",
        "P2 9000 9000 255\n",
        "P4 9000 9000\n",
        "P6 9000 9000 9\n",
    ] {
        assert!(
            refusal(header.as_bytes(), &limits).detail.contains("in the file"),
            "{header}"
        );
    }
    for header in ["P5 70000 70000 255\n", "P6 4294967295 4294967295 65535\n"] {
        assert_eq!(
            refusal(header.as_bytes(), &limits).reason,
            Reason::TooManyPixels,
            "{header}"
        );
    }
    for header in [
        "P5 1 1 0\n1",
        "P5 1 1 70000\n11",
        "P5 -1 1 9\n1",
        "P5 4294967296 1 9\n1",
        "P5 1",
        "P7\nWIDTH 1\nENDHDR\n",
    ] {
        assert_eq!(refusal(header.as_bytes(), &limits).reason, Reason::Corrupt, "{header}");
    }
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let mut png = samples::png((40, 30), 4, 16, false, &[]);
    png[16..24].fill(0xff);
    let mut tiff = b"II\x2a\0\x08\0\0\0".to_vec();
    let most = u32::MAX;
    let tags = [
        (256, 4, 1, most),
        (257, 4, 1, most),
        (258, 3, 1, 64),
        (277, 3, 1, 2),
        (322, 4, 1, most),
        (323, 4, 1, most),
    ];
    tiff.extend(samples::ifd(
        &[&tags[..], &[(324, 4, 1, 8), (325, 4, 1, 1)]].concat(),
        0,
    ));
    let limits = Limits {
        pixels: u64::MAX,
        frame_pixels: u64::MAX,
        ..Limits::default()
    };
    for upload in [png, tiff] {
        assert_eq!(refusal(&upload, &Limits::default()).exceeded.unwrap().limit, "pixels");
        assert_eq!(refusal(&upload, &limits).exceeded.unwrap().limit, "memory");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_never_panic(kind in 0..13_usize, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let magics: [&[u8]; 13] = [
            b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"BM", b"II\x2a\0",
            b"\0\0\x01\0", b"qoif", b"P6 ", b"P7\n",
            b"\xff\x0a", b"\0\0\0\x14ftypavif\0\0\0\0avif", b"<svg width='9' ",
        ];
        let _ = inspect(&[magics[kind], &bytes].concat(), &recipe(), &Limits::default());
        let _ = inspect(&bytes, &recipe(), &Limits::default());
    }

    #[test]
    fn damaged_files_never_panic(
        kind in 0..19_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        kept in any::<prop::sample::Index>(),
    ) {
        thread_local!(static VALID: Vec<Vec<u8>> = [valid(), optional()].concat());
        let mut upload = VALID.with(|valid| valid[kind % valid.len()].clone());
        for (place, value) in damage {
            let place = place.index(upload.len());
            upload[place] = value;
        }
        let _ = inspect(&upload, &recipe(), &Limits::default());
        upload.truncate(kept.index(upload.len()));
        let _ = inspect(&upload, &recipe(), &Limits::default());
    }
}

//! JPEG XL and AVIF, from files that other programs wrote (cjxl 0.7, avifenc 0.11): nothing here encodes them.

use super::*;

/// Files of 61 × 47, of those formats that are in this build.
pub(super) fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    if Format::Jxl.built() {
        files.extend([
            ("jxl rgb", &include_bytes!("../../../fixtures/codec/rgb.jxl")[..]),
            ("jxl rgba", include_bytes!("../../../fixtures/codec/rgba.jxl")),
            ("jxl grey", include_bytes!("../../../fixtures/codec/grey.jxl")),
            ("jxl grey alpha", include_bytes!("../../../fixtures/codec/la.jxl")),
            ("jxl lossy", include_bytes!("../../../fixtures/codec/lossy.jxl")),
            (
                "jxl lossy alpha",
                include_bytes!("../../../fixtures/codec/lossy_alpha.jxl"),
            ),
            ("jxl container", include_bytes!("../../../fixtures/codec/container.jxl")),
        ]);
    }
    if Format::Avif.built() {
        files.extend([
            ("avif 4:2:0", &include_bytes!("../../../fixtures/codec/420.avif")[..]),
            (
                "avif 4:4:4 10 alpha",
                include_bytes!("../../../fixtures/codec/444_10_alpha.avif"),
            ),
            (
                "avif 4:2:2 12 limited",
                include_bytes!("../../../fixtures/codec/422_12_limited.avif"),
            ),
            ("avif grey", include_bytes!("../../../fixtures/codec/grey.avif")),
            ("avif lossless", include_bytes!("../../../fixtures/codec/lossless.avif")),
        ]);
    }
    files.into_iter().map(|(name, bytes)| (name, bytes.to_vec())).collect()
}

/// Lossy files are near the picture that they were made of.
#[test]
fn colours_are_those_of_the_picture() {
    let expected = samples::rgb(61, 47);
    for (name, source) in files() {
        let picture = read_back(&source);
        let channels = picture.layout.channels();
        let colours = if channels < 3 || name.contains("grey") { 1 } else { 3 };
        let mut total = 0;
        for (pixel, expected) in picture.bytes.chunks(channels).zip(expected.chunks(3)) {
            for colour in 0..colours {
                total += u64::from(pixel[colour].abs_diff(expected[colour]));
            }
        }
        let mean = total as f64 / f64::from(61 * 47 * colours as u32);
        let most = if name.starts_with("jxl") || name.contains("4:2:0") {
            9.0
        } else {
            5.0
        };
        assert!(mean < most, "{name}: {mean}");
        if channels == 4 {
            let alpha = |index: usize| i32::from(picture.bytes[index * 4 + 3]) - (index % 251) as i32;
            assert!((0..61 * 47).all(|index| alpha(index).abs() < 24), "{name}");
        }
    }
}

/// Files of 40 × 30 in colours of their own, each with a PNG that says the same of the same samples, and how far off a sample may be.
#[cfg(all(feature = "jxl", feature = "avif"))]
fn coloured() -> [(&'static str, &'static [u8], Vec<u8>, u8); 5] {
    let profile = [b"wide\0\0", &samples::deflated(WIDE)[..]].concat();
    let png = |more| samples::png((40, 30), 2, 8, false, &[more]);
    let wide = png(samples::chunk(b"iCCP", &profile));
    let p3 = png(samples::chunk(b"cICP", &[12, 13, 0, 1]));
    [
        (
            "avif by code",
            include_bytes!("../../../fixtures/codec/p3.avif"),
            p3.clone(),
            0,
        ),
        (
            "avif by profile",
            include_bytes!("../../../fixtures/codec/wide.avif"),
            wide.clone(),
            0,
        ),
        // Converted by its decoder, from samples as exact as floats are.
        ("jxl by code", include_bytes!("../../../fixtures/codec/p3.jxl"), p3, 2),
        (
            "jxl by profile",
            include_bytes!("../../../fixtures/codec/wide.jxl"),
            wide.clone(),
            0,
        ),
        (
            "jxl, lossy, by profile",
            include_bytes!("../../../fixtures/codec/wide_lossy.jxl"),
            wide,
            40,
        ),
    ]
}

/// A profile as wide as Adobe RGB, its curve a table.
#[cfg(all(feature = "jxl", feature = "avif"))]
static WIDE: &[u8] = include_bytes!("../../../fixtures/codec/wide.icc");

#[cfg(all(feature = "jxl", feature = "avif"))]
#[test]
fn colours_are_followed_as_those_of_a_png_are() {
    let whole = |source: &[u8]| {
        let (made, output) = made(source, &recipe([one(Target::Png)]));
        assert_eq!(made[0].notes, Notes::NONE);
        read_back(&output).bytes
    };
    let untold = samples::rgb(40, 30);
    for (name, source, png, most) in coloured() {
        let (seen, expected) = (whole(source), whole(&png));
        let far =
            |one: &[u8], other: &[u8]| -> u8 { one.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max().unwrap() };
        let mean = |one: &[u8], other: &[u8]| {
            let sum: u32 = one.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            sum as f64 / one.len() as f64
        };
        assert_eq!(seen.len(), expected.len());
        assert!(far(&seen, &expected) <= most, "{name}: {}", far(&seen, &expected));
        // As they were, they would be farther off.
        assert!(mean(&untold, &expected) > 2.0 * mean(&seen, &expected), "{name}");
    }
}

#[cfg(all(feature = "jxl", feature = "avif"))]
#[test]
fn a_profile_is_kept_where_samples_are_in_its_colours() {
    let keep = vec![Keep::Icc];
    let recipe = recipe([Rendition {
        keep,
        ..one(Target::Png)
    }]);
    for (name, source, _, most) in coloured() {
        let output = converted(source, &recipe);
        let headers = preflight::examine(&output, &Limits::default(), Truncated::Refused).unwrap();
        let colours = colour::Source::read(&output, headers.colours);
        let kept = name.contains("by profile") && most == 0;
        assert_eq!(colours.profile(), kept.then_some(WIDE), "{name}");
        assert_eq!(read_back(&output).bytes == samples::rgb(40, 30), kept, "{name}");
    }
}

/// A length that the file claims for its packed profile is no reason to unpack more than is declared.
#[cfg(feature = "jxl")]
#[test]
fn the_memory_of_a_packed_profile_is_declared() {
    let bytes = |source: &[u8]| {
        let declared = inspect(source, &recipe([one(Target::Png)]), &Limits::default()).unwrap();
        declared.memory_bytes
    };
    let wide = bytes(include_bytes!("../../../fixtures/codec/wide.jxl"));
    let p3 = bytes(include_bytes!("../../../fixtures/codec/p3.jxl"));
    assert!(wide > p3 + (4 << 20), "{wide}, {p3}");
}

/// Red, green above blue, white; turned and mirrored by the container.
#[cfg(feature = "avif")]
#[test]
fn avif_is_shown_as_its_container_says() {
    let (red, green, blue, white) = ([255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]);
    let irot1 = &include_bytes!("../../../fixtures/codec/irot1.avif")[..];
    let imir1 = include_bytes!("../../../fixtures/codec/imir1.avif");
    let both = include_bytes!("../../../fixtures/codec/irot3imir0.avif");
    let grid = include_bytes!("../../../fixtures/codec/grid.avif");
    for (source, size, corners) in [
        (irot1, (32, 48), [green, white, red, blue]),
        (imir1, (48, 32), [green, red, white, blue]),
        // Clockwise, then top and bottom exchanged.
        (both, (32, 48), [white, green, blue, red]),
        (grid, (144, 96), [red, green, blue, white]),
    ] {
        let source = converted(source, &recipe([one(Target::Png)]));
        let picture = read_back(&source);
        assert_eq!((picture.width, picture.height), size);
        let (right, bottom) = (size.0 - 4, size.1 - 4);
        for ((x, y), expected) in [(3, 3), (right, 3), (3, bottom), (right, bottom)]
            .into_iter()
            .zip(corners)
        {
            let seen = pixel(&picture, x, y);
            let near = seen
                .iter()
                .zip(expected)
                .all(|(seen, expected)| seen.abs_diff(expected) < 12);
            assert!(near, "({x}, {y}) of {size:?}: {seen:?}, not {expected:?}");
        }
    }
}

/// What the container says of the size is what the decoder is held to.
#[cfg(feature = "avif")]
#[test]
fn an_avif_that_lies_of_its_size_is_refused() {
    let mut lie = include_bytes!("../../../fixtures/codec/420.avif").to_vec();
    let size = lie.windows(4).position(|name| name == b"ispe").unwrap() + 8;
    lie[size..size + 8].copy_from_slice(&[0, 0, 0, 16, 0, 0, 0, 16]);
    let Err(Failure::Refused(refusal)) = outcome(&lie, &recipe([one(Target::Png)])) else {
        panic!("a stream of 61 × 47 is no picture of 16 × 16");
    };
    assert_eq!(refusal.reason, Reason::Corrupt);
}

//! AVIF as a format out, read back by another library than the one that wrote it.

use super::*;
use crate::convert::preflight::avif::Picture;
use crate::recipe::Keep;

fn avif() -> Rendition {
    one(Target::Avif)
}

fn with_quality(quality: u8) -> Rendition {
    Rendition {
        quality: Some(Quality::Fixed(quality)),
        ..avif()
    }
}

fn png(bytes: &[u8], (width, height): (u32, u32), colour: image::ExtendedColorType) -> Vec<u8> {
    let mut png = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    image::ImageEncoder::write_image(encoder, bytes, width, height, colour).unwrap();
    png
}

/// How far samples are apart: in the mean, and at most.
fn apart(one: &[u8], other: &[u8]) -> (f64, u8) {
    assert_eq!(one.len(), other.len());
    let apart = || one.iter().zip(other).map(|(one, other)| one.abs_diff(*other));
    let sum: u64 = apart().map(u64::from).sum();
    (sum as f64 / one.len() as f64, apart().max().unwrap_or(0))
}

#[test]
fn planes_are_as_asked_for_and_colours_are_told() {
    let source = samples::png((64, 48), 2, 8, false, &[]);
    let grey = samples::png((64, 48), 0, 8, false, &[]);
    let full = Rendition {
        chroma: Some(Chroma::Full),
        ..avif()
    };
    let quarter = Rendition {
        chroma: Some(Chroma::Quarter),
        ..with_quality(95)
    };
    for (source, rendition, samples) in [
        (&source, avif(), 3),
        (&source, with_quality(89), 3),
        (&source, with_quality(90), 6),
        (&source, full, 6),
        (&source, quarter, 3),
        (&grey, with_quality(95), 2),
    ] {
        let file = converted(source, &recipe([rendition.clone()]));
        let picture = Picture::read(&file).unwrap();
        assert_eq!(
            (picture.colour.depth, picture.colour.samples()),
            (10, samples),
            "{rendition:?}"
        );
        assert!(picture.alpha.is_none());
        // BT.709 primaries, sRGB's curve, the matrix of BT.601, full range.
        let codes = b"colrnclx\0\x01\0\x0d\0\x06\x80";
        assert!(file.windows(codes.len()).any(|window| window == codes), "{rendition:?}");
    }
}

#[test]
fn every_small_size_comes_back_as_it_was() {
    for (width, height) in [
        (1, 1),
        (1, 50),
        (50, 1),
        (2, 3),
        (15, 17),
        (16, 16),
        (33, 31),
        (65, 64),
        (127, 9),
        (643, 35),
        (35, 1283),
    ] {
        for (colour, kind) in [(0, "grey"), (2, "rgb"), (6, "rgba")] {
            // Slopes, as photographs have them.
            let channels = [1, 0, 3, 0, 0, 0, 4][colour];
            let bytes: Vec<u8> = (0..height)
                .flat_map(|y| (0..width).map(move |x| (x, y)))
                .flat_map(|(x, y)| {
                    [x + y, 2 * x, 2048 - y, 200 + x / 4]
                        .map(|sample| (sample % 256) as u8)
                        .into_iter()
                        .take(channels)
                })
                .collect();
            let kinds = [
                image::ExtendedColorType::L8,
                image::ExtendedColorType::Rgb8,
                image::ExtendedColorType::Rgba8,
            ];
            let source = png(&bytes, (width, height), kinds[channels / 2]);
            let small = read_back(&converted(&source, &recipe([with_quality(95)])));
            assert_eq!((small.width, small.height), (width, height));
            let expected = pixels::Pixels::new((width, height), read_back(&source).layout, read_back(&source).bytes);
            let expected = match small.layout {
                pixels::Layout::Rgb => Rc::unwrap_or_clone(pixels::Pixels::coloured(Rc::new(expected))),
                _ => expected,
            };
            let (mean, _) = apart(&small.bytes, &expected.bytes);
            assert!(mean < 3.0, "{width} × {height}, {kind}: {mean}");
        }
    }
}

#[test]
fn flat_colours_are_exact_to_a_level_or_two() {
    for colour in [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
        [0, 0, 0],
        [90, 120, 200],
    ] {
        for quality in [80, 90, 100] {
            let source = png(&colour.repeat(40 * 40), (40, 40), image::ExtendedColorType::Rgb8);
            let seen = read_back(&converted(&source, &recipe([with_quality(quality)]))).bytes;
            let (_, most) = apart(&seen, &colour.repeat(40 * 40));
            assert!(most <= 2, "{colour:?} at {quality}: {most} levels off");
        }
    }
}

#[test]
fn a_higher_quality_is_nearer_and_longer() {
    let photo = include_bytes!("../../../fixtures/valid/photos/astronaut_baseline.jpg");
    let small = |rendition| Rendition {
        width: Some(256),
        ..rendition
    };
    let whole = read_back(&converted(photo, &recipe([small(one(Target::Png))]))).bytes;
    let mut before = (0, f64::MAX);
    for quality in [1, 20, 40, 60, 80, 89, 95, 100] {
        let file = converted(photo, &recipe([small(with_quality(quality))]));
        let (mean, _) = apart(&read_back(&file).bytes, &whole);
        assert!(
            file.len() > before.0 && mean < before.1,
            "{quality}: {} bytes, {mean}",
            file.len()
        );
        before = (file.len(), mean);
    }
    assert!(before.1 < 0.7, "{}", before.1);
}

#[test]
fn transparency_has_sharp_edges_and_hides_no_colour() {
    // A red disc on green that is not to be seen.
    let inside = |x: i32, y: i32| (x - 48).pow(2) + (y - 48).pow(2) < 900;
    let bytes: Vec<u8> = (0..96 * 96)
        .flat_map(|index| {
            if inside(index % 96, index / 96) {
                [220, 30, 40, 255]
            } else {
                [0, 255, 0, 0]
            }
        })
        .collect();
    let source = png(&bytes, (96, 96), image::ExtendedColorType::Rgba8);
    let file = converted(&source, &recipe([avif()]));
    let picture = Picture::read(&file).unwrap();
    assert!(picture.alpha.is_some() && !picture.premultiplied);
    let seen = read_back(&file);
    assert_eq!(seen.layout, pixels::Layout::Rgba);
    for (seen, was) in seen.bytes.chunks(4).zip(bytes.chunks(4)) {
        assert!(seen[3].abs_diff(was[3]) < 40, "{seen:?}, not {was:?}");
        // Whatever lies behind it, nothing green shows.
        assert!(
            seen[3] < 128 || apart(&seen[..3], &was[..3]).1 < 25,
            "{seen:?}, not {was:?}"
        );
        assert!(u16::from(seen[1]) * u16::from(seen[3]) / 255 < 60, "{seen:?}");
    }
    // A channel that says nothing is not written.
    let opaque = png(
        &[220, 30, 40, 255].repeat(96 * 96),
        (96, 96),
        image::ExtendedColorType::Rgba8,
    );
    assert!(
        Picture::read(&converted(&opaque, &recipe([avif()])))
            .unwrap()
            .alpha
            .is_none()
    );
}

#[test]
fn an_avif_stays_one_and_nothing_else_becomes_one_unasked() {
    let source = include_bytes!("../../../fixtures/codec/444_10_alpha.avif");
    let (made, file) = made(source, &recipe([one(Target::Same)]));
    assert_eq!((made[0].format, made[0].quality), (Format::Avif, Some(80)));
    assert!(Picture::read(&file).unwrap().alpha.is_some());
    assert_eq!(one(Target::Same).output(Format::Jxl), Format::Png);
}

#[test]
fn a_profile_goes_where_readers_look_and_colours_stay_untold() {
    // It has the time in it.
    let p3 = samples::p3();
    let profile = [b"name\0\0", &samples::deflated(&p3)[..]].concat();
    for colour in [2, 6] {
        let source = samples::png((60, 40), colour, 8, false, &[samples::chunk(b"iCCP", &profile)]);
        let own = Rendition {
            keep: vec![Keep::Icc],
            ..with_quality(95)
        };
        let (kept, turned) = (
            converted(&source, &recipe([own])),
            converted(&source, &recipe([with_quality(95)])),
        );
        let headers = preflight::examine(&kept, &Limits::default(), Truncated::Refused).unwrap();
        assert_eq!(colour::Source::read(&kept, headers.colours).profile(), Some(&p3[..]));
        let codes = b"colrnclx\0\x02\0\x02\0\x06\x80";
        assert!(kept.windows(codes.len()).any(|window| window == codes));
        // The same to the eye.
        let seen = |file: &[u8]| read_back(&converted(file, &recipe([one(Target::Png)]))).bytes;
        let (mean, _) = apart(&seen(&kept), &seen(&turned));
        assert!(mean < 3.0, "{mean}");
    }
}

#[test]
fn too_large_a_rendition_is_refused_before_anything_is_decoded() {
    let limits = Limits {
        avif_pixels: 61 * 47 - 1,
        ..Limits::default()
    };
    let source = samples::photo(61, 47);
    let refusal = inspect(&source, &recipe([avif()]), &limits).unwrap_err();
    let exceeded = refusal.exceeded.unwrap();
    assert_eq!(
        (exceeded.limit.as_str(), exceeded.seen, exceeded.allowed),
        ("avif_pixels", 2867, 2866)
    );
    let smaller = Rendition {
        width: Some(60),
        ..avif()
    };
    assert!(inspect(&source, &recipe([smaller, one(Target::Png)].map(named)), &limits).is_ok());
}

/// Named for its format.
fn named(rendition: Rendition) -> Rendition {
    Rendition {
        name: format!("{:?}", rendition.format),
        ..rendition
    }
}

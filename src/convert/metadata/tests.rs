//! What survives, in every format out; and that nothing else does.

use crate::convert::preflight;
use crate::convert::samples;
use crate::convert::tests::{made, read_back};
use crate::format::Format;
use crate::recipe::{Fit, Keep, Quality, Recipe, Rendition, Target};
use crate::sandbox::limits::Limits;

/// EXIF with artist, copyright, orientation 6, a serial number and a place.
fn exif() -> Vec<u8> {
    let texts: [(u16, &[u8]); 3] = [
        (315, b"Ann Onym\0"),
        (33_432, b"(c) Ann\0Ed\0"),
        (42_033, b"SERIAL-4711\0"),
    ];
    let mut block = b"II\x2a\0\x08\0\0\0\x05\0".to_vec();
    let mut at = 8 + 2 + 5 * 12 + 4;
    let mut behind = Vec::new();
    block.extend([0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]);
    for (tag, text) in texts {
        block.extend(tag.to_le_bytes());
        block.extend([2, 0]);
        block.extend((text.len() as u32).to_le_bytes());
        block.extend((at as u32).to_le_bytes());
        at += text.len();
        behind.extend(text);
    }
    block.extend([0x25, 0x88, 4, 0, 1, 0, 0, 0]);
    block.extend((at as u32).to_le_bytes());
    behind.extend(b"\x01\0\x01\0\x02\0\x02\0\0\0N\0\0\0\0\0\0\0GPS-HERE");
    block.extend([0; 4]);
    [block, behind].concat()
}

/// The same picture with profile and EXIF, in each container.
fn uploads() -> Vec<Vec<u8>> {
    let segment = |marker: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        [&[0xff, marker][..], &(body.len() as u16 + 2).to_be_bytes(), &body].concat()
    };
    let photo = samples::photo(60, 40);
    let jpeg = [
        &photo[..2],
        &segment(0xe1, &[b"Exif\0\0", &exif()]),
        &segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", &samples::p3()]),
        &photo[2..],
    ];
    let profile = [&b"name\0\0"[..], &samples::deflated(&samples::p3())].concat();
    let chunks = [samples::chunk(b"iCCP", &profile), samples::chunk(b"eXIf", &exif())];
    let still = samples::webp(60, 40, false, false);
    let webp = [
        samples::extended(0x28, 60, 40),
        samples::riff_chunk(b"ICCP", &samples::p3()),
        still[12..].to_vec(),
        samples::riff_chunk(b"EXIF", &exif()),
    ];
    vec![
        jpeg.concat(),
        samples::png((60, 40), 2, 8, false, &chunks),
        samples::riff(&webp),
    ]
}

fn rendition(format: Target, keep: &[Keep]) -> Rendition {
    Rendition {
        format,
        width: Some(30),
        height: Some(30),
        fit: Fit::Contain,
        keep: keep.to_vec(),
        ..Rendition::named("one")
    }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn targets() -> impl Iterator<Item = Target> {
    let all = [Target::Jpeg, Target::Png, Target::Webp, Target::Avif];
    all.into_iter().filter(|target| target.is_built())
}

#[test]
fn nothing_survives_unasked_and_the_place_never() {
    for (upload, target) in uploads()
        .iter()
        .flat_map(|upload| targets().map(move |target| (upload, target)))
    {
        for keep in [&[][..], &[Keep::Icc], &[Keep::Copyright], &[Keep::Copyright, Keep::Icc]] {
            let (made, output) = made(upload, &Recipe::new(vec![rendition(target, keep)]).unwrap());
            assert_eq!(made[0].bytes, output.len() as u64);
            for gone in [&b"GPS-HERE"[..], b"SERIAL"] {
                assert!(!holds(&output, gone), "{target:?} {keep:?}");
            }
            let asked = keep.contains(&Keep::Copyright);
            for text in [&b"Ann Onym\0"[..], b"(c) Ann\0Ed\0"] {
                assert_eq!(holds(&output, text), asked, "{target:?} {keep:?}");
            }
        }
    }
}

#[test]
fn what_is_kept_is_where_readers_look() {
    let limits = Limits::default();
    for (upload, target) in uploads()
        .iter()
        .flat_map(|upload| targets().map(move |target| (upload, target)))
    {
        let keep = [Keep::Copyright, Keep::Icc];
        let (made, output) = made(upload, &Recipe::new(vec![rendition(target, &keep)]).unwrap());
        let headers = preflight::examine(&output, &limits, preflight::Truncated::Refused).unwrap();
        assert_eq!(
            (headers.width, headers.height, headers.format),
            (30, 30, made[0].format)
        );
        let colours = super::super::colour::Source::read(&output, headers.colours);
        assert!(colours.notes.is_empty());
        assert_eq!(colours.profile(), Some(&samples::p3()[..]), "{target:?}");
        // Of an AVIF, EXIF is not read here.
        if target != Target::Avif {
            let block = super::credits(&output, headers.exif.unwrap()).unwrap();
            assert!(holds(&block, b"Ann Onym\0") && holds(&block, b"(c) Ann\0Ed\0"));
        }
        // Upright already: the orientation is not kept.
        assert_eq!(headers.displayed(), (30, 30));
        // The decoder is content with what it finds, too.
        assert_eq!(read_back(&output).width, 30);
    }
}

#[test]
fn kept_colours_are_not_converted() {
    let png = &uploads()[1];
    let one = |keep: &[Keep]| {
        let rendition = Rendition {
            width: None,
            height: None,
            ..rendition(Target::Png, keep)
        };
        read_back(&made(png, &Recipe::new(vec![rendition]).unwrap()).1)
    };
    // Read back, kept colours are converted then: the same to the eye.
    let (now, then) = (one(&[]), one(&[Keep::Icc]));
    let plain = samples::png((60, 40), 2, 8, false, &[]);
    let turned = samples::png((60, 40), 2, 8, false, &[samples::chunk(b"eXIf", &exif())]);
    assert_ne!(plain, turned);
    let plain = {
        let rendition = Rendition {
            width: None,
            height: None,
            ..rendition(Target::Png, &[])
        };
        read_back(&made(&turned, &Recipe::new(vec![rendition]).unwrap()).1)
    };
    assert_eq!(then.bytes, plain.bytes);
    assert_ne!(now.bytes, plain.bytes);
}

#[test]
fn a_webp_without_alpha_chunk_says_whether_there_is_alpha() {
    let profile = [&b"name\0\0"[..], &samples::deflated(&samples::p3())].concat();
    for (colour, lossless) in [(6, true), (2, true), (6, false), (2, false)] {
        let upload = samples::png((60, 40), colour, 8, false, &[samples::chunk(b"iCCP", &profile)]);
        let rendition = Rendition {
            lossless,
            ..rendition(Target::Webp, &[Keep::Icc])
        };
        let (_, output) = made(&upload, &Recipe::new(vec![rendition]).unwrap());
        assert_eq!(Format::sniff(&output), Some(Format::Webp));
        assert_eq!(&output[12..16], b"VP8X");
        assert_eq!(output[20] & 0x10 != 0, colour == 6, "{colour} {lossless}");
        assert_eq!(
            u32::from_le_bytes(output[4..8].try_into().unwrap()) as usize + 8,
            output.len()
        );
        assert_eq!(read_back(&output).width, 30);
    }
}

#[test]
fn what_is_kept_counts_against_the_most_bytes() {
    let keep = [Keep::Copyright, Keep::Icc];
    for (upload, target) in uploads().iter().flat_map(|upload| {
        targets()
            .filter(|target| *target != Target::Png)
            .map(move |target| (upload, target))
    }) {
        let whole = Rendition {
            quality: Some(Quality::Fixed(95)),
            ..rendition(target, &keep)
        };
        let length = made(upload, &Recipe::new(vec![whole.clone()]).unwrap()).1.len() as u32;
        let most = length - 100;
        let bounded = Rendition {
            max_bytes: Some(most),
            ..whole
        };
        let (made, output) = made(upload, &Recipe::new(vec![bounded]).unwrap());
        assert!(output.len() as u32 <= most, "{target:?}");
        assert!(made[0].quality < Some(95), "{target:?}");
        assert!(holds(&output, b"Ann Onym\0"), "{target:?}");
    }
}

#[test]
fn the_png_of_an_icon_is_read_like_any_other() {
    let png = &uploads()[1];
    // Another picture before it, so that it does not start where a lone one would.
    let small = ((8, 8), samples::icon_bitmap(8, 8));
    let icon = samples::ico(&[small, ((60, 40), png.clone())]);
    let one = |upload: &[u8], keep: &[Keep]| made(upload, &Recipe::new(vec![rendition(Target::Png, keep)]).unwrap());
    for keep in [&[][..], &[Keep::Copyright, Keep::Icc]] {
        let (of_icon, output) = one(&icon, keep);
        assert!(of_icon[0].notes.is_empty());
        assert!(output == one(png, keep).1, "{keep:?}");
    }
}

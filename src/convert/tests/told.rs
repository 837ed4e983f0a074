//! What is told of an upload beside renditions: facts from headers, placeholders.

use super::*;
use crate::info::{ColourModel, Info};
use crate::recipe::{Placeholder, Wishes};
use crate::sandbox::protocol::Found;
use crate::verdict::{Note, Notes};

fn told(source: &[u8], placeholder: Option<Placeholder>, info: bool) -> Result<Found, Failure> {
    let wishes = Wishes {
        placeholder,
        info,
        ..Wishes::default()
    };
    let recipe = Recipe::of(wishes).unwrap();
    let mut output = Vec::new();
    let product = convert(source, &recipe, &Limits::default(), &mut |_| {}, &mut output)?;
    assert!(product.made.is_empty() && output.is_empty());
    assert!(product.found.answers(&recipe));
    Ok(product.found)
}

fn info(source: &[u8]) -> Info {
    told(source, None, true).unwrap().info.unwrap()
}

/// An EXIF block whose own directory says when the picture was taken.
fn taken(text: &[u8; 20]) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0".to_vec();
    block.extend(samples::ifd(&[(34_665, 4, 1, 26)], 0));
    block.extend(samples::ifd(&[(36_867, 2, 20, 44)], 0));
    block.extend(text);
    block
}

#[test]
fn alpha_and_colours_of_every_source() {
    for (name, source) in sources() {
        let Info {
            alpha,
            colour,
            captured,
        } = info(&source);
        let grey = ["grey", "pbm", "pgm"].iter().any(|word| name.contains(word));
        let expected = match name {
            "jpeg inks" => ColourModel::Cmyk,
            _ if grey => ColourModel::Grey,
            _ => ColourModel::Rgb,
        };
        assert_eq!((colour, captured), (expected, None), "{name}");
        // An animation of opaque frames may still show what is behind it; the bitmap of an icon has a mask, and a drawing no ground.
        let clear = ["alpha", "rgba", "transparent", "ico bitmap", "svg"]
            .iter()
            .any(|word| name.contains(word));
        assert!(alpha == clear || name.contains("animated"), "{name}: {alpha}");
    }
}

#[test]
fn the_time_is_found_in_every_container() {
    let exif = taken(b"2026:11:21 08:15:30\0");
    let still = samples::webp(61, 47, false, false);
    let webp = samples::riff(&[
        samples::extended(8, 61, 47),
        still[12..].to_vec(),
        samples::riff_chunk(b"EXIF", &exif),
    ]);
    let png = samples::png((61, 47), 2, 8, false, &[samples::chunk(b"eXIf", &exif)]);
    let mut jpeg = samples::photo(61, 47);
    let body = [b"Exif\0\0".as_slice(), &exif].concat();
    let segment = [&[0xff, 0xe1], (body.len() as u16 + 2).to_be_bytes().as_slice(), &body].concat();
    jpeg.splice(2..2, segment);
    for source in [webp, png, jpeg] {
        let captured = info(&source).captured.map(String::from);
        assert_eq!(captured.as_deref(), Some("2026-11-21T08:15:30"));
    }
    let unset = taken(b"0000:00:00 00:00:00\0");
    let png = samples::png((61, 47), 2, 8, false, &[samples::chunk(b"eXIf", &unset)]);
    assert_eq!(info(&png).captured, None);
}

#[test]
fn headers_are_enough_for_facts_and_not_for_a_placeholder() {
    let photo = samples::photo(610, 470);
    let cut = &samples::png((610, 470), 2, 8, false, &[])[..2000];
    assert_eq!(info(&photo).colour, ColourModel::Rgb);
    assert!(matches!(
        told(cut, Some(Placeholder::Dominant), true),
        Err(Failure::Refused(_))
    ));
    let recipe = Recipe::of(Wishes {
        info: true,
        ..Wishes::default()
    });
    let declared = inspect(&photo, &recipe.unwrap(), &Limits::default()).unwrap();
    assert!(declared.memory_bytes <= 1 << 20, "{declared:?}");
}

#[test]
fn a_placeholder_shows_the_picture_as_displayed() {
    // The left half red, the right half blue.
    let row: Vec<u8> = (0..200)
        .flat_map(|x| if x < 100 { [220, 20, 20] } else { [20, 20, 220] })
        .collect();
    let mut stored = Vec::new();
    jpeg_encoder::Encoder::new(&mut stored, 95)
        .encode(&row.repeat(80), 200, 80, ColorType::Rgb)
        .unwrap();
    let preview = |source: &[u8]| {
        let found = told(source, Some(Placeholder::Blurhash), false).unwrap();
        String::from(found.placeholder.unwrap())
    };
    let (upright, mirrored, tall) = (
        preview(&stored),
        preview(&samples::turned(&stored, 2)),
        preview(&samples::turned(&stored, 6)),
    );
    // The first digit is the shape: 4 × 3 or 3 × 4; the next the range, four the mean colour.
    assert_eq!((&upright[..1], &tall[..1]), ("L", "T"));
    assert_eq!(upright[2..6], mirrored[2..6]);
    assert_ne!(upright, mirrored);
}

#[test]
fn a_placeholder_goes_with_renditions_and_changes_none() {
    for source in [
        samples::png((300, 200), 6, 8, false, &[]),
        samples::png((40, 30), 6, 8, false, &[]),
    ] {
        let renditions = vec![Rendition {
            width: Some(25),
            ..one(Target::Png)
        }];
        let plain = Recipe::new(renditions.clone()).unwrap();
        let with = Recipe::of(Wishes {
            renditions,
            placeholder: Some(Placeholder::Thumbhash),
            info: true,
        })
        .unwrap();
        let mut output = Vec::new();
        let product = convert(&source, &with, &Limits::default(), &mut |_| {}, &mut output).unwrap();
        assert!(product.found.answers(&with) && !product.found.answers(&plain));
        assert_eq!(output, converted(&source, &plain));
    }
}

#[test]
fn a_placeholder_of_a_picture_too_small_to_be_resized_is_in_srgb() {
    let profile = samples::p3();
    for (profile, notes) in [
        (&profile[..], Notes::NONE),
        (b"none", Notes::NONE.with(Note::BrokenProfile)),
    ] {
        let chunk = [&b"name\0\0"[..], &samples::deflated(profile)].concat();
        let upload = samples::png((40, 30), 6, 8, false, &[samples::chunk(b"iCCP", &chunk)]);
        let rgb = converted(&upload, &recipe([one(Target::Png)]));
        let found = |source: &[u8]| told(source, Some(Placeholder::Dominant), false).unwrap();
        assert_eq!(found(&upload).notes, notes);
        assert_eq!(found(&upload).placeholder, found(&rgb).placeholder);
    }
}

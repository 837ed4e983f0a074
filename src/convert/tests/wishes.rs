//! What a rendition may wish for beside format and size, from uploads to renditions that are read back.

use super::*;
use crate::recipe::geometry::Length;
use crate::recipe::{Crop, Flip, Gravity, Hundredths, Quality, Rotate};

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const WHITE: [u8; 3] = [255, 255, 255];

/// Red at the top left, green at the top right, blue at the bottom left, white at the bottom right: 48 × 32, as a PNG.
fn corners() -> Vec<u8> {
    let places = (0..32).flat_map(|y| (0..48).map(move |x| (x, y)));
    let colour = |(x, y)| match (x < 24, y < 16) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => WHITE,
    };
    let bytes: Vec<u8> = places.flat_map(colour).collect();
    let mut png = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    image::ImageEncoder::write_image(encoder, &bytes, 48, 32, image::ExtendedColorType::Rgb8).unwrap();
    png
}

/// The colours in the corners of what is made, from the top left, row by row.
fn seen(source: &[u8], rendition: Rendition) -> ((u32, u32), [Vec<u8>; 4]) {
    let recipe = recipe([rendition]);
    let declared = inspect(source, &recipe, &Limits::default()).unwrap();
    let promised = recipe.renditions()[0].geometry(declared.width, declared.height).canvas;
    let picture = read_back(&converted(source, &recipe));
    assert_eq!((picture.width, picture.height), promised, "what the supervisor expects");
    let (right, bottom) = (picture.width - 1, picture.height - 1);
    let corners = [(0, 0), (right, 0), (0, bottom), (right, bottom)];
    (
        (picture.width, picture.height),
        corners.map(|(x, y)| pixel(&picture, x, y)),
    )
}

#[test]
fn turned_clockwise_and_then_mirrored() {
    for (rotate, flip, expected) in [
        (Rotate::Not, None, [RED, GREEN, BLUE, WHITE]),
        (Rotate::Right, None, [BLUE, RED, WHITE, GREEN]),
        (Rotate::Around, None, [WHITE, BLUE, GREEN, RED]),
        (Rotate::Left, None, [GREEN, WHITE, RED, BLUE]),
        (Rotate::Not, Some(Flip::Horizontal), [GREEN, RED, WHITE, BLUE]),
        (Rotate::Not, Some(Flip::Vertical), [BLUE, WHITE, RED, GREEN]),
        (Rotate::Not, Some(Flip::Both), [WHITE, BLUE, GREEN, RED]),
        (Rotate::Right, Some(Flip::Horizontal), [RED, BLUE, GREEN, WHITE]),
    ] {
        let turned = Rendition {
            rotate,
            flip,
            ..one(Target::Png)
        };
        let (size, colours) = seen(&corners(), turned.clone());
        assert_eq!(size, if rotate.swaps() { (32, 48) } else { (48, 32) });
        assert_eq!(colours, expected.map(Vec::from), "{rotate:?}, {flip:?}");
        let small = Rendition {
            width: Some(12),
            ..turned
        };
        let (_, colours) = seen(&corners(), small);
        assert_eq!(colours, expected.map(Vec::from), "{rotate:?}, {flip:?}, small");
    }
}

#[test]
fn a_turn_comes_after_that_of_the_camera() {
    // Stored on its side, displayed as `corners`.
    let quarter = samples::turned(&samples::photo(61, 47), 6);
    let turned = Rendition {
        rotate: Rotate::Left,
        ..one(Target::Png)
    };
    let upright = read_back(&converted(&samples::photo(61, 47), &recipe([one(Target::Png)])));
    // Once to the right by EXIF, once back to the left by the recipe.
    let back = read_back(&converted(&quarter, &recipe([turned])));
    assert_eq!((back.width, back.height), (61, 47));
    assert_eq!(back.bytes, upright.bytes);
}

#[test]
fn a_crop_takes_these_pixels_and_no_others() {
    let crop = Crop {
        x: Length::Pixels(24),
        y: Length::Share(2500),
        width: Length::Pixels(1000),
        height: Length::Share(5000),
    };
    let part = Rendition {
        crop: Some(crop),
        ..one(Target::Png)
    };
    let (size, colours) = seen(&corners(), part.clone());
    assert_eq!((size, colours), ((24, 16), [GREEN, GREEN, WHITE, WHITE].map(Vec::from)));
    // The same wish of the turned picture is another part of it.
    let turned = Rendition {
        rotate: Rotate::Around,
        ..part
    };
    assert_eq!(seen(&corners(), turned).1, [BLUE, BLUE, RED, RED].map(Vec::from));
}

#[test]
fn gravity_keeps_its_side() {
    let cover = |gravity| Rendition {
        width: Some(8),
        height: Some(32),
        fit: Fit::Cover,
        gravity,
        ..one(Target::Png)
    };
    assert_eq!(
        seen(&corners(), cover(Gravity::West)).1,
        [RED, RED, BLUE, BLUE].map(Vec::from)
    );
    assert_eq!(
        seen(&corners(), cover(Gravity::NorthEast)).1,
        [GREEN, GREEN, WHITE, WHITE].map(Vec::from)
    );
    assert_eq!(
        seen(&corners(), cover(Gravity::Centre)).1,
        [RED, GREEN, BLUE, WHITE].map(Vec::from)
    );
    let attention = seen(&samples::photo(300, 80), cover(Gravity::Attention));
    assert_eq!(attention.0, (8, 32));
}

#[test]
fn a_background_may_let_through() {
    let square = |format, background| Rendition {
        width: Some(48),
        height: Some(48),
        fit: Fit::Contain,
        gravity: Gravity::South,
        background,
        ..one(format)
    };
    for source in [corners(), samples::png((48, 32), 0, 8, false, &[])] {
        let colours = pixel(&read_back(&source), 0, 0);
        let (first, last) = (colours[0], colours[colours.len() - 1]);
        let half = Colour([200, 0, 0, 128]);
        let picture = read_back(&converted(&source, &recipe([square(Target::Png, half)])));
        assert_eq!(pixel(&picture, 20, 3), [200, 0, 0, 128]);
        assert_eq!(pixel(&picture, 0, 16), [first, last, last, 255]);
        let clear = read_back(&converted(&source, &recipe([square(Target::Webp, Colour([0; 4]))])));
        assert_eq!(pixel(&clear, 20, 3)[3], 0);
        let flat = read_back(&converted(&source, &recipe([square(Target::Jpeg, Colour([0; 4]))])));
        assert!(pixel(&flat, 20, 3).iter().all(|&value| value > 250));
    }
}

#[test]
fn filters_change_one_rendition_and_not_its_neighbour() {
    let source = samples::png((61, 47), 2, 8, false, &[]);
    let wish = |name: &str, blur, sharpen| Rendition {
        name: name.into(),
        blur: Hundredths(blur),
        sharpen: Hundredths(sharpen),
        ..one(Target::Png)
    };
    let recipe = recipe([wish("soft", 300, 0), wish("sharp", 0, 100), wish("plain", 0, 0)]);
    let (made, output) = outcome(&source, &recipe).unwrap();
    let (soft, rest) = output.split_at(made[0].bytes as usize);
    let (sharp, plain) = rest.split_at(made[1].bytes as usize);
    let [soft, sharp, plain] = [soft, sharp, plain].map(|bytes| read_back(bytes).bytes);
    assert_eq!(plain, samples::rgb(61, 47));
    // How much neighbours differ.
    let rough = |bytes: &[u8]| -> u64 { bytes.windows(4).map(|pair| u64::from(pair[0].abs_diff(pair[3]))).sum() };
    assert!(rough(&soft) * 2 < rough(&plain) && rough(&plain) < rough(&sharp));
}

/// Formats with a quality.
fn lossy() -> impl Iterator<Item = Target> {
    targets().filter(|target| !matches!(target, Target::Png | Target::Gif))
}

#[test]
fn max_bytes_finds_the_quality_that_fits() {
    let source = samples::photo(400, 300);
    for target in lossy() {
        let (whole, _) = outcome(&source, &recipe([one(target)])).unwrap();
        assert_eq!(whole[0].quality, Some(80));
        let most = whole[0].bytes * 2 / 3;
        let limited = |most: u64| Rendition {
            max_bytes: Some(most as u32),
            ..one(target)
        };
        let (made, output) = outcome(&source, &recipe([limited(most)])).unwrap();
        let quality = made[0].quality.unwrap();
        assert!(made[0].bytes <= most && quality < 80, "{:?}", made[0]);
        assert_eq!(output.len() as u64, made[0].bytes);
        // One more would have been too much, and what fits anyway is left as it is.
        let better = Rendition {
            quality: Some(Quality::Fixed(quality + 1)),
            ..one(target)
        };
        assert!(outcome(&source, &recipe([better])).unwrap().0[0].bytes > most);
        assert_eq!(outcome(&source, &recipe([limited(1 << 20)])).unwrap().0, whole);

        let Err(Failure::Refused(refusal)) = outcome(&source, &recipe([limited(300)])) else {
            panic!("{target:?} of 120,000 pixels does not fit in 300 bytes");
        };
        let exceeded = refusal.exceeded.unwrap();
        assert_eq!(
            (refusal.reason, exceeded.limit.as_str(), exceeded.allowed),
            (Reason::TooComplex, "max_bytes", 300)
        );
    }
    let png = Rendition {
        max_bytes: Some(300),
        ..one(Target::Png)
    };
    assert!(matches!(outcome(&source, &recipe([png])), Err(Failure::Refused(_))));
}

#[test]
fn auto_spends_bytes_where_they_show() {
    // Large plain squares, and the fine grain of film, which low qualities wipe away.
    let squares = |x: u32, y: u32| match (x / 64 + y / 64).is_multiple_of(2) {
        true => [40, 90, 160],
        false => [220, 200, 90],
    };
    let mut state = 1_u32;
    let mut grain = |_: u32, _: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        [100 + (state >> 28) as u8; 3]
    };
    let auto = |paint: &mut dyn FnMut(u32, u32) -> [u8; 3], target| {
        // Judged by tiles where it is large; AVIF takes too long for that here.
        let (width, height) = if target == Target::Avif { (200, 240) } else { (600, 700) };
        let pixels: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| paint(x, y))
            .collect();
        let mut source = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut source);
        image::ImageEncoder::write_image(encoder, &pixels, width, height, image::ExtendedColorType::Rgb8).unwrap();
        let rendition = Rendition {
            quality: Some(Quality::Auto),
            ..one(target)
        };
        outcome(&source, &recipe([rendition])).unwrap().0[0].quality
    };
    for target in lossy() {
        let (low, high) = (
            auto(&mut { squares }, target).unwrap(),
            auto(&mut grain, target).unwrap(),
        );
        assert!(40 <= low && low < high && high <= 95, "{target:?}: {low}, {high}");
    }
    assert_eq!(auto(&mut { squares }, Target::Png), None);
}

#[test]
fn a_palette_is_exact_for_few_colours_and_small_for_many() {
    let palette = |width| Rendition {
        palette: true,
        width,
        ..one(Target::Png)
    };
    // Colour type and depth of the header.
    let kind = |png: &[u8]| (png[25], png[24]);
    let few = samples::png((61, 47), 3, 8, false, &[samples::chunk(b"tRNS", &[9, 128])]);
    let exact = converted(&few, &recipe([palette(None)]));
    assert_eq!(kind(&exact), (3, 8));
    assert_eq!(read_back(&exact).bytes, read_back(&few).bytes);
    let flags = converted(&corners(), &recipe([palette(None)]));
    assert_eq!(kind(&flags), (3, 2));
    assert_eq!(read_back(&flags).bytes, read_back(&corners()).bytes);

    for colour in [2, 6] {
        let many = samples::png((61, 47), colour, 8, false, &[]);
        let (whole, near) = (
            converted(&many, &recipe([one(Target::Png)])),
            converted(&many, &recipe([palette(None)])),
        );
        assert_eq!(kind(&near), (3, 8));
        assert!(near.len() * 2 < whole.len(), "{} of {} bytes", near.len(), whole.len());
        let (whole, near) = (read_back(&whole), read_back(&near));
        assert_eq!(near.layout, whole.layout);
        let off = near
            .bytes
            .iter()
            .zip(&whole.bytes)
            .map(|(&a, &b)| u64::from(a.abs_diff(b)));
        let mean = off.sum::<u64>() / whole.bytes.len() as u64;
        assert!(mean < 16, "{mean} levels off");
    }
    // Of many greys each is kept, and no palette is.
    let grey = samples::png((61, 47), 0, 8, false, &[]);
    let plain = converted(&grey, &recipe([palette(None)]));
    assert_eq!(kind(&plain), (0, 8));
    assert_eq!(read_back(&plain).bytes, read_back(&grey).bytes);
    let jpeg = Rendition {
        palette: true,
        ..one(Target::Jpeg)
    };
    assert_eq!(
        converted(&grey, &recipe([jpeg])),
        converted(&grey, &recipe([one(Target::Jpeg)]))
    );
}

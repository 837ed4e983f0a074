//! The whole conversion, from uploads made on the spot to renditions that are read back.

#[cfg(feature = "avif-out")]
mod avif;
mod codecs;
#[cfg(feature = "svg")]
mod drawings;
mod moving;
mod told;
mod wishes;

use jpeg_encoder::{ColorType, SamplingFactor};

use super::samples::{self, Tiff};
use super::*;
use crate::format::Format;
use crate::recipe::{Chroma, Colour, Fit, Quality, Target};
use crate::verdict::Note;

fn outcome(upload: &[u8], recipe: &Recipe) -> Result<(Vec<Made>, Vec<u8>), Failure> {
    let mut output = Vec::new();
    let product = convert(upload, recipe, &Limits::default(), &mut |_| {}, &mut output)?;
    Ok((product.made, output))
}

/// What was made of an upload that must convert, and the output.
pub(super) fn made(upload: &[u8], recipe: &Recipe) -> (Vec<Made>, Vec<u8>) {
    outcome(upload, recipe).unwrap()
}

/// The output for an upload that must convert.
pub(super) fn converted(upload: &[u8], recipe: &Recipe) -> Vec<u8> {
    outcome(upload, recipe).unwrap().1
}

fn one(format: Target) -> Rendition {
    Rendition {
        format,
        ..Rendition::named("one")
    }
}

fn recipe(renditions: impl Into<Vec<Rendition>>) -> Recipe {
    Recipe::new(renditions.into()).unwrap()
}

pub(super) fn read_back(bytes: &[u8]) -> pixels::Pixels {
    let limits = Limits::default();
    let headers = preflight::examine(bytes, &limits, Truncated::Refused).unwrap();
    let mut colours = colour::Source::read(bytes, headers.colours);
    decode::decode(bytes, &headers, scale::Scale::WHOLE, &limits, &mut colours).unwrap()
}

fn pixel(picture: &pixels::Pixels, x: u32, y: u32) -> Vec<u8> {
    let channels = picture.layout.channels();
    let at = (y * picture.width + x) as usize * channels;
    picture.bytes[at..at + channels].to_vec()
}

/// All formats that this build writes.
fn targets() -> impl Iterator<Item = Target> {
    let all = [Target::Jpeg, Target::Png, Target::Webp, Target::Gif, Target::Avif];
    all.into_iter().filter(|target| target.is_built())
}

/// Every kind of source that is read, 61 × 47.
fn sources() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = plain_sources();
    #[cfg(feature = "svg")]
    {
        let body = r#"<rect width="61" height="47" fill="teal"/><text x="9" y="30" opacity=".5">Ab</text>"#;
        let svg = samples::svg(61, 47, body);
        all.extend([("svgz", samples::svgz(&svg)), ("svg", svg)]);
    }
    all.extend(codecs::files());
    all
}

/// Those whose decoders are in every build.
fn plain_sources() -> Vec<(&'static str, Vec<u8>)> {
    let (width, height) = (61, 47);
    let size = (width, height);
    let tiff = Tiff::plain(width, height);
    let lossy = samples::webp(width, height, false, false);
    vec![
        ("jpeg 4:2:0", samples::photo(61, 47)),
        (
            "jpeg 4:4:4",
            samples::jpeg(61, 47, ColorType::Rgb, SamplingFactor::R_4_4_4, false),
        ),
        (
            "jpeg progressive",
            samples::jpeg(61, 47, ColorType::Rgb, SamplingFactor::R_4_2_0, true),
        ),
        (
            "jpeg grey",
            samples::jpeg(61, 47, ColorType::Luma, SamplingFactor::R_4_4_4, false),
        ),
        (
            "jpeg inks",
            samples::jpeg(61, 47, ColorType::Cmyk, SamplingFactor::R_4_4_4, false),
        ),
        ("jpeg restarts", samples::restarting(61, 47)),
        ("png grey", samples::png(size, 0, 8, false, &[])),
        ("png rgb", samples::png(size, 2, 8, false, &[])),
        ("png palette", samples::png(size, 3, 8, false, &[])),
        (
            "png palette transparent",
            samples::png(size, 3, 8, false, &[samples::chunk(b"tRNS", &[0, 128])]),
        ),
        ("png grey alpha 16", samples::png(size, 4, 16, false, &[])),
        ("png rgba interlaced", samples::png(size, 6, 8, true, &[])),
        ("png rgb 16 interlaced", samples::png(size, 2, 16, true, &[])),
        ("gif", samples::gif(width, height, 3)),
        ("webp animated", samples::animated(&lossy, width, height, 3)),
        ("webp lossy", lossy),
        ("webp lossy alpha", samples::webp(width, height, true, false)),
        ("webp lossless", samples::webp(width, height, false, true)),
        ("webp lossless alpha", samples::webp(width, height, true, true)),
        ("bmp", samples::bmp(width, height, 3)),
        ("bmp alpha", samples::bmp(width, height, 4)),
        (
            "ico bitmap",
            samples::ico(&[(size, samples::icon_bitmap(width, height))]),
        ),
        ("ico png", samples::ico(&[(size, samples::png(size, 2, 8, false, &[]))])),
        ("qoi", samples::qoi(width, height, 3)),
        ("qoi alpha", samples::qoi(width, height, 4)),
        ("pbm", samples::pnm(width, height, 1, 1)),
        ("pbm binary", samples::pnm(width, height, 4, 1)),
        ("pgm", samples::pnm(width, height, 2, 100)),
        ("pgm 16", samples::pnm(width, height, 5, 65_535)),
        ("ppm", samples::pnm(width, height, 3, 255)),
        ("ppm binary", samples::pnm(width, height, 6, 255)),
        ("pam grey alpha", samples::pnm(width, height, 7, 255)),
        ("tiff strips", tiff.bytes()),
        ("tiff grey", Tiff { channels: 1, ..tiff }.bytes()),
        (
            "tiff tiles deflate",
            Tiff {
                tile: Some(32),
                deflate: true,
                ..tiff
            }
            .bytes(),
        ),
        (
            "tiff rgba 16",
            Tiff {
                channels: 4,
                bits: 16,
                ..tiff
            }
            .bytes(),
        ),
    ]
}

#[test]
fn every_source_becomes_every_target() {
    for (name, source) in sources() {
        for target in targets() {
            let small = Rendition {
                width: Some(20),
                height: Some(20),
                ..one(target)
            };
            let recipe = recipe([
                Rendition {
                    name: "whole".into(),
                    ..one(target)
                },
                small,
            ]);
            let declared = inspect(&source, &recipe, &Limits::default()).unwrap();
            assert_eq!((declared.width, declared.height), (61, 47), "{name}");
            let (made, output) = outcome(&source, &recipe).unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
            let (first, second) = output.split_at(made[0].bytes as usize);
            assert_eq!(second.len() as u64, made[1].bytes);
            for (bytes, made, size) in [(first, &made[0], (61, 47)), (second, &made[1], (20, 15))] {
                assert_eq!(Format::sniff(bytes), Some(made.format));
                let picture = read_back(bytes);
                assert_eq!((picture.width, picture.height), size, "{name} to {target:?}");
                assert_eq!((made.width, made.height), size, "{name} to {target:?}");
            }
        }
    }
}

#[test]
fn lossless_targets_keep_every_pixel() {
    let source = samples::png((61, 47), 2, 8, false, &[]);
    let expected = samples::rgb(61, 47);
    for rendition in [
        one(Target::Png),
        Rendition {
            lossless: true,
            ..one(Target::Webp)
        },
    ] {
        assert_eq!(read_back(&converted(&source, &recipe([rendition]))).bytes, expected);
    }
    for (name, source) in sources() {
        if [
            "png rgb 16 interlaced",
            "tiff strips",
            "tiff tiles deflate",
            "bmp",
            "webp lossless",
            "ico bitmap",
            "ico png",
            "qoi",
            "ppm",
            "ppm binary",
            "jxl rgb",
            "avif lossless",
        ]
        .contains(&name)
        {
            assert_eq!(
                read_back(&converted(&source, &recipe([one(Target::Png)]))).bytes,
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn colours_survive_a_jpeg() {
    for inks in [ColorType::Rgb, ColorType::Cmyk, ColorType::CmykAsYcck] {
        let channels = samples::components(inks);
        // Red: no cyan, full magenta and yellow, no black.
        let red: &[u8] = if channels == 4 { &[0, 255, 255, 0] } else { &[255, 0, 0] };
        let mut source = Vec::new();
        jpeg_encoder::Encoder::new(&mut source, 95)
            .encode(&red.repeat(256), 16, 16, inks)
            .unwrap();
        let picture = read_back(&source);
        let [r, g, b] = pixel(&picture, 8, 8).try_into().unwrap();
        let seen: [u8; 3] = [r, g, b];
        let adobe = source.windows(5).any(|window| window == b"Adobe");
        assert!(r > 240 && g < 15 && b < 15, "{inks:?}: {seen:?}, adobe {adobe}");
    }
}

#[test]
fn all_eight_orientations_are_displayed_upright() {
    // Displayed: red at the top left, green at the top right, blue at the bottom left, white at the bottom right.
    let (width, height) = (384, 256);
    let corner = |x: u32, y: u32| match (x < width / 2, y < height / 2) {
        (true, true) => [255, 0, 0],
        (false, true) => [0, 255, 0],
        (true, false) => [0, 0, 255],
        (false, false) => [255, 255, 255],
    };
    for value in 1..=8 {
        let orientation = orientation::Orientation::from_exif(value);
        let store = orientation.turn((width, height));
        let mut bytes = vec![0; (width * height * 3) as usize];
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let (stored_x, stored_y) = orientation.stored((x, y), store);
            let at = ((stored_y * store.0 + stored_x) * 3) as usize;
            bytes[at..at + 3].copy_from_slice(&corner(x, y));
        }
        let mut stored = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut stored, 95);
        encoder
            .encode(&bytes, store.0 as u16, store.1 as u16, ColorType::Rgb)
            .unwrap();
        let source = samples::turned(&stored, value as u8);

        let cover = Rendition {
            width: Some(20),
            height: Some(20),
            fit: Fit::Cover,
            ..one(Target::Png)
        };
        let inside = Rendition {
            width: Some(24),
            ..one(Target::Png)
        };
        let cut = Rendition {
            width: Some(40),
            height: Some(200),
            fit: Fit::Cover,
            ..one(Target::Png)
        };
        for (rendition, size) in [
            (cover, (20, 20)),
            (inside, (24, 16)),
            (one(Target::Png), (384, 256)),
            (cut, (40, 200)),
        ] {
            let recipe = recipe([rendition]);
            let declared = inspect(&source, &recipe, &Limits::default()).unwrap();
            assert_eq!((declared.width, declared.height), (width, height));
            let picture = read_back(&converted(&source, &recipe));
            assert_eq!((picture.width, picture.height), size, "orientation {value}");
            for (x, y) in [(2, 2), (size.0 - 3, 2), (2, size.1 - 3), (size.0 - 3, size.1 - 3)] {
                let expected = corner(x * width / size.0, y * height / size.1);
                let seen = pixel(&picture, x, y);
                let near = seen
                    .iter()
                    .zip(expected)
                    .all(|(&seen, expected)| seen.abs_diff(expected) < 40);
                assert!(
                    near,
                    "orientation {value}, ({x}, {y}) of {size:?}: {seen:?}, not {expected:?}"
                );
            }
        }
    }
}

#[test]
fn a_scaled_decoder_changes_hardly_anything() {
    let boxes = [
        (39, 29, Fit::Inside),
        (70, 30, Fit::Cover),
        (150, 150, Fit::Cover),
        (318, 20, Fit::Fill),
    ];
    let uploads = [
        samples::photo(637, 475),
        samples::webp(637, 475, false, false),
        samples::webp(637, 475, false, true),
        samples::webp(637, 475, true, false),
    ];
    let cases = uploads.iter().flat_map(|upload| boxes.map(|size| (upload, size)));
    for (photo, (width, height, fit)) in cases {
        let whole = converted(photo, &recipe([one(Target::Png)]));
        let small = recipe([Rendition {
            width: Some(width),
            height: Some(height),
            fit,
            ..one(Target::Png)
        }]);
        let (scaled, reference) = (
            read_back(&converted(photo, &small)),
            read_back(&converted(&whole, &small)),
        );
        assert_eq!((scaled.width, scaled.height), (reference.width, reference.height));
        let samples = scaled.bytes.iter().zip(&reference.bytes);
        let off: u64 = samples.map(|(&one, &other)| u64::from(one.abs_diff(other))).sum();
        let mean = off as f64 / scaled.bytes.len() as f64;
        assert!(mean < 2.5, "{width} × {height}, {fit:?}: {mean}");
    }
}

#[test]
fn stray_bytes_harm_nothing_and_missing_ones_do() {
    let photo = samples::photo(610, 470);
    let end = photo.len() - 2;
    let stray = [&photo[..end], &[0; 12], &photo[end..]].concat();
    assert!(outcome(&stray, &recipe([one(Target::Png)])).is_ok());
    // zune-jpeg takes what is there, whatever it is told.
    if cfg!(not(feature = "turbo")) {
        return;
    }
    for missing in [end / 2..end, end - 2000..end - 400] {
        let damaged = [&photo[..missing.start], &photo[missing.end..]].concat();
        let Err(Failure::Refused(refusal)) = outcome(&damaged, &recipe([one(Target::Png)])) else {
            panic!("{missing:?} is missing");
        };
        assert_eq!(refusal.reason, Reason::Corrupt, "{refusal}");
    }
}

#[test]
fn jpeg_is_written_as_asked() {
    let source = samples::png((160, 120), 2, 8, false, &[]);
    let plain = |quality, chroma, progressive| Rendition {
        quality: Some(Quality::Fixed(quality)),
        chroma,
        progressive,
        ..one(Target::Jpeg)
    };
    // Progressive or not, and the sampling factors of brightness.
    for (rendition, frame, factors) in [
        (plain(80, None, false), 0xc0, 0x22),
        (plain(90, None, false), 0xc0, 0x11),
        (plain(80, Some(Chroma::Full), true), 0xc2, 0x11),
        (plain(95, Some(Chroma::Quarter), true), 0xc2, 0x22),
    ] {
        let jpeg = converted(&source, &recipe([rendition.clone()]));
        let at = jpeg.windows(2).position(|two| two == [0xff, frame]);
        let at = at.unwrap_or_else(|| panic!("{rendition:?}"));
        assert_eq!((jpeg[at + 9], jpeg[at + 11]), (3, factors), "{rendition:?}");
    }
}

#[test]
fn orientation_is_found_in_every_container() {
    let exif = samples::exif_block(6);
    let still = samples::webp(61, 47, false, false);
    let webp = samples::riff(&[
        samples::extended(8, 61, 47),
        still[12..].to_vec(),
        samples::riff_chunk(b"EXIF", &exif),
    ]);
    let tiff = Tiff {
        orientation: 6,
        ..Tiff::plain(61, 47)
    }
    .bytes();
    let png = samples::png((61, 47), 2, 8, false, &[samples::chunk(b"eXIf", &exif)]);
    for source in [webp, tiff, png, samples::turned(&samples::photo(61, 47), 6)] {
        let picture = read_back(&converted(&source, &recipe([one(Target::Png)])));
        assert_eq!((picture.width, picture.height), (47, 61));
    }
}

#[test]
fn contain_pads_with_nothing_or_with_the_background() {
    let background = Colour::opaque([10, 20, 30]);
    let square = |format| Rendition {
        width: Some(32),
        height: Some(32),
        fit: Fit::Contain,
        background,
        ..one(format)
    };
    let opaque = samples::png((64, 32), 2, 8, false, &[]);
    let grey = samples::png((64, 32), 0, 8, false, &[]);
    let clear = samples::png((64, 32), 6, 8, false, &[]);
    for (source, format, expected) in [
        (&opaque, Target::Png, vec![10, 20, 30]),
        (&grey, Target::Png, vec![10, 20, 30]),
        (&clear, Target::Png, vec![0, 0, 0, 0]),
        (&clear, Target::Jpeg, vec![10, 20, 30]),
    ] {
        let picture = read_back(&converted(source, &recipe([square(format)])));
        assert_eq!((picture.width, picture.height), (32, 32));
        let seen = pixel(&picture, 16, 2);
        let near = seen
            .iter()
            .zip(&expected)
            .all(|(seen, expected)| seen.abs_diff(*expected) < 10);
        assert!(
            near && seen.len() == expected.len(),
            "{format:?}: {seen:?}, not {expected:?}"
        );
    }
}

#[test]
fn transparent_colours_do_not_bleed() {
    // Left half opaque red, right half transparent green: no green may show at the seam.
    let row: Vec<u8> = (0..64)
        .flat_map(|x| if x < 32 { [255, 0, 0, 255] } else { [0, 255, 0, 0] })
        .collect();
    let mut source = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut source);
    image::ImageEncoder::write_image(encoder, &row.repeat(64), 64, 64, image::ExtendedColorType::Rgba8).unwrap();
    let small = Rendition {
        width: Some(15),
        ..one(Target::Png)
    };
    let whole = Rendition {
        name: "whole".into(),
        ..one(Target::Png)
    };
    for recipe in [recipe([small.clone()]), recipe([small, whole])] {
        let (made, output) = outcome(&source, &recipe).unwrap();
        let picture = read_back(&output[..made[0].bytes as usize]);
        assert_eq!(picture.layout, pixels::Layout::Rgba);
        let green = picture
            .bytes
            .chunks(4)
            .filter(|pixel| pixel[3] > 0)
            .map(|pixel| pixel[1])
            .max();
        assert!(green < Some(5), "{green:?}");
    }
    let flat = read_back(&converted(&source, &recipe([one(Target::Jpeg)])));
    assert!(pixel(&flat, 60, 60).iter().all(|&sample| sample > 250));
}

#[test]
fn several_renditions_share_one_decode() {
    let names = ["a", "b", "c"];
    let renditions = names.map(|name| Rendition {
        name: name.into(),
        width: Some(30),
        ..one(Target::Jpeg)
    });
    let mut phases = Vec::new();
    let mut output = Vec::new();
    let source = samples::photo(61, 47);
    let made = convert(
        &source,
        &recipe(renditions),
        &Limits::default(),
        &mut |phase| phases.push(phase),
        &mut output,
    );
    let made = made.unwrap().made;
    assert_eq!(phases.iter().filter(|&&phase| phase == Phase::Decode).count(), 1);
    assert_eq!(phases[..3], [Phase::Decode, Phase::Transform, Phase::Encode]);
    assert_eq!(phases.len(), 7);
    assert_eq!(made.iter().map(|made| made.bytes).sum::<u64>(), output.len() as u64);
}

#[test]
fn the_largest_picture_of_an_icon_is_taken() {
    let png = |edge| ((edge, edge), samples::png((edge, edge), 6, 8, false, &[]));
    let bitmap = |edge| ((edge, edge), samples::icon_bitmap(edge, edge));
    for (pictures, edge) in [
        (vec![png(16), bitmap(48), png(32)], 48),
        (vec![png(256), bitmap(48)], 256),
        (vec![bitmap(16)], 16),
    ] {
        let mut icon = samples::ico(&pictures);
        for kind in [1, 2] {
            icon[2] = kind;
            let picture = read_back(&converted(&icon, &recipe([one(Target::Png)])));
            assert_eq!((picture.width, picture.height), (edge, edge));
        }
    }
}

#[test]
fn a_mask_makes_an_icon_transparent() {
    let mut bitmap = samples::icon_bitmap(16, 16);
    let mask = bitmap.len() - 16 * 4;
    // Rows go from the bottom: the lowest one, its left half.
    bitmap[mask] = 0xff;
    let picture = read_back(&converted(
        &samples::ico(&[((16, 16), bitmap)]),
        &recipe([one(Target::Png)]),
    ));
    let alpha = |x, y| pixel(&picture, x, y)[3];
    assert_eq!(
        (alpha(0, 15), alpha(7, 15), alpha(8, 15), alpha(0, 14)),
        (0, 0, 255, 255)
    );
}

#[test]
fn a_maxval_is_full_light() {
    for (source, expected) in [
        (&b"P2 1 1 9 9"[..], 255),
        (b"P2\n#c\n1 1 1000\n500", 128),
        (b"P5 1 1 3\n\x01", 85),
        (b"P1 1 1 1", 0),
        (b"P4 1 1\n\x7f", 255),
    ] {
        assert_eq!(read_back(source).bytes, [expected], "{source:?}");
    }
}

#[test]
fn cut_files_are_refused() {
    for (name, source) in sources() {
        for kept in [source.len() / 2, source.len() * 3 / 4] {
            let refusal = match outcome(&source[..kept], &recipe([one(Target::Png)])) {
                Err(Failure::Refused(refusal)) => refusal,
                other => panic!("{name} cut at {kept}: {other:?}"),
            };
            assert_eq!(refusal.reason, Reason::Corrupt, "{name} cut at {kept}: {refusal}");
        }
    }
}

#[test]
fn formats_without_room_refuse() {
    let source = samples::png((16_384, 1), 2, 8, false, &[]);
    let Err(Failure::Refused(refusal)) = outcome(&source, &recipe([one(Target::Webp)])) else {
        panic!("16,384 pixels are one too many");
    };
    assert_eq!(refusal.exceeded.unwrap().limit, "webp_edge");
}

#[test]
fn a_broken_output_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for target in targets() {
        let source = samples::photo(610, 470);
        let end = convert(
            &source,
            &recipe([one(target)]),
            &Limits::default(),
            &mut |_| {},
            &mut Full,
        );
        assert!(matches!(end, Err(Failure::Output(_))), "{target:?}: {end:?}");
    }
}

#[test]
fn what_is_there_of_a_cut_file_is_shown_where_that_is_tolerated() {
    let size = (61, 47);
    let tolerant = Rendition {
        tolerate_truncated: true,
        ..one(Target::Png)
    };
    for (name, source) in [
        (
            "jpeg",
            samples::jpeg(61, 47, ColorType::Rgb, SamplingFactor::R_4_4_4, false),
        ),
        (
            "jpeg progressive",
            samples::jpeg(61, 47, ColorType::Rgb, SamplingFactor::R_4_2_0, true),
        ),
        (
            "jpeg inks",
            samples::jpeg(61, 47, ColorType::Cmyk, SamplingFactor::R_4_4_4, false),
        ),
        ("png", samples::png(size, 2, 8, false, &[])),
        ("png 16", samples::png(size, 2, 16, false, &[])),
        ("png interlaced", samples::png(size, 6, 8, true, &[])),
        ("gif", samples::gif(61, 47, 1)),
    ] {
        let (_, whole) = made(&source, &recipe([tolerant.clone()]));
        let kept = source.len() * 3 / 4;
        let (made, cut) = made(&source[..kept], &recipe([tolerant.clone()]));
        assert_eq!(Vec::from(made[0].notes), [Note::Truncated], "{name}");
        let (whole, cut) = (read_back(&whole), read_back(&cut));
        assert_eq!((cut.width, cut.height), size, "{name}");
        // The first rows are there, but of a progressive or interlaced one, whose passes run over all rows.
        if !name.contains("progressive") && !name.contains("interlaced") {
            for (x, y) in [(0, 0), (30, 5), (60, 10)] {
                let (seen, expected) = (pixel(&cut, x, y), pixel(&whole, x, y));
                assert_eq!(seen[..3], expected[..3], "{name} at {x}, {y}");
            }
            assert_ne!(cut.bytes, whole.bytes, "{name}");
        }
        // Nothing of it is left to be shown: refused all the same.
        let Err(Failure::Refused(refusal)) = outcome(&source[..30], &recipe([tolerant.clone()])) else {
            panic!("{name}: nothing is there");
        };
        assert_eq!(refusal.reason, Reason::Corrupt, "{name}: {refusal}");
    }
    // A file that is whole is not touched by it; of one that lacks but its end mark all pixels are there.
    let png = samples::png(size, 2, 8, false, &[]);
    for (source, cut) in [(&png[..], false), (&png[..png.len() - 12], true)] {
        let (made, output) = made(source, &recipe([tolerant.clone()]));
        assert_eq!(!made[0].notes.is_empty(), cut);
        assert_eq!(read_back(&output).bytes, samples::rgb(61, 47));
    }
}

#[test]
fn light_is_mixed_where_that_is_asked_for() {
    // Stripes of black and white: half the light is 188, half the samples 128.
    let stripes: Vec<u8> = (0..64 * 64).map(|index| if index % 2 == 0 { 255 } else { 0 }).collect();
    let mut source = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut source);
    image::ImageEncoder::write_image(encoder, &stripes, 64, 64, image::ExtendedColorType::L8).unwrap();
    for (linear, expected) in [(false, 128), (true, 188)] {
        let small = Rendition {
            width: Some(8),
            linear,
            ..one(Target::Png)
        };
        let seen = read_back(&converted(&source, &recipe([small]))).bytes;
        assert!(
            seen.iter().all(|&sample| sample.abs_diff(expected) < 7),
            "{linear}: {seen:?}"
        );
    }
}

#[test]
fn few_bits_and_palettes_are_spread_over_the_whole_range() {
    // Two pixels a row: nothing and full.
    let header = |depth: u8, colour: u8| [&[0, 0, 0, 2, 0, 0, 0, 1, depth, colour][..], &[0, 0, 0]].concat();
    let palette = samples::chunk(b"PLTE", &[10, 20, 30, 200, 100, 50]);
    let clear = |alpha: &[u8]| samples::chunk(b"tRNS", alpha);
    let file = |depth: u8, colour: u8, row: &[u8], more: &[Vec<u8>]| {
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        png.extend(samples::chunk(b"IHDR", &header(depth, colour)));
        more.iter().for_each(|chunk| png.extend(chunk));
        png.extend(samples::chunk(b"IDAT", &samples::deflated(&[&[0], row].concat())));
        png.extend(samples::chunk(b"IEND", b""));
        png
    };
    for (depth, row) in [
        (1, &[0b0100_0000][..]),
        (2, &[0b0011_0000]),
        (4, &[0x0f]),
        (8, &[0, 255]),
        (16, &[0, 0, 255, 255]),
    ] {
        let grey = read_back(&converted(&file(depth, 0, row, &[]), &recipe([one(Target::Png)])));
        assert_eq!(grey.bytes, [0, 255], "{depth} bits");
        let keyed = file(depth, 0, row, &[clear(&[0, 0])]);
        let keyed = read_back(&converted(&keyed, &recipe([one(Target::Png)])));
        assert_eq!(
            (keyed.bytes[3], &keyed.bytes[4..]),
            (0, &[255; 4][..]),
            "{depth} bits, black is clear"
        );
    }
    for (depth, row) in [(1, &[0b0100_0000][..]), (2, &[0b0001_0000]), (4, &[0x01]), (8, &[0, 1])] {
        let plain = file(depth, 3, row, std::slice::from_ref(&palette));
        let plain = read_back(&converted(&plain, &recipe([one(Target::Png)])));
        assert_eq!(plain.bytes, [10, 20, 30, 200, 100, 50], "{depth} bits");
        let glass = file(depth, 3, row, &[palette.clone(), clear(&[255, 128])]);
        let glass = read_back(&converted(&glass, &recipe([one(Target::Png)])));
        assert_eq!(glass.bytes, [10, 20, 30, 255, 200, 100, 50, 128], "{depth} bits");
    }
}

#[test]
fn all_eight_orientations_are_found_in_every_container() {
    // Stored: 3 × 2 blocks, the first of them red. Where it is displayed, for each orientation.
    let displayed = [(0, 0), (2, 0), (2, 1), (0, 1), (0, 0), (1, 0), (1, 2), (0, 2)];
    let block = 16;
    let (width, height) = (3 * block, 2 * block);
    let bytes: Vec<u8> = (0..width * height)
        .flat_map(|index| {
            if index % width < block && index / width < block {
                [255, 0, 0]
            } else {
                [0, 0, 255]
            }
        })
        .collect();
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 95);
    encoder
        .encode(&bytes, width as u16, height as u16, ColorType::Rgb)
        .unwrap();
    for (value, corner) in (1..=8_u8).zip(displayed) {
        let exif = samples::exif_block(value);
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        image::ImageEncoder::write_image(encoder, &bytes, width, height, image::ExtendedColorType::Rgb8).unwrap();
        let lossless = Rendition {
            lossless: true,
            ..one(Target::Webp)
        };
        let still = converted(&png, &recipe([lossless]));
        let webp = samples::riff(&[
            samples::extended(8, width, height),
            still[12..].to_vec(),
            samples::riff_chunk(b"EXIF", &exif),
        ]);
        png.splice(33..33, samples::chunk(b"eXIf", &exif));
        let mut tiff = Tiff {
            orientation: value.into(),
            ..Tiff::plain(width, height)
        }
        .bytes();
        // In strips of sixteen rows right after the header.
        tiff[8..8 + bytes.len()].copy_from_slice(&bytes);
        for source in [samples::turned(&jpeg, value), png, webp, tiff] {
            let picture = read_back(&converted(&source, &recipe([one(Target::Png)])));
            let upright = value < 5;
            assert_eq!(
                (picture.width, picture.height),
                if upright { (width, height) } else { (height, width) }
            );
            let (across, down) = if upright { (3, 2) } else { (2, 3) };
            for (x, y) in (0..down).flat_map(|y| (0..across).map(move |x| (x, y))) {
                let seen = pixel(&picture, x * block + block / 2, y * block + block / 2);
                assert_eq!(
                    seen[0] > 128,
                    (x, y) == corner,
                    "{:?}, orientation {value}: ({x}, {y})",
                    &source[..4]
                );
            }
        }
    }
}

#[test]
fn in_company_a_rendition_looks_as_it_does_alone() {
    let photo = include_bytes!("../../fixtures/valid/photos/astronaut_baseline.jpg");
    let turned = samples::turned(photo, 6);
    let wide = |width| Rendition {
        width: Some(width),
        ..one(Target::Png)
    };
    let square = Rendition {
        height: Some(60),
        fit: crate::recipe::Fit::Cover,
        ..wide(60)
    };
    let flipped = Rendition {
        flip: Some(crate::recipe::Flip::Horizontal),
        ..wide(150)
    };
    let whole = one(Target::Png);
    let renditions = [square, wide(150), flipped, whole.clone(), wide(300), whole];
    let names = renditions.into_iter().enumerate();
    let renditions: Vec<_> = names
        .map(|(index, one)| Rendition {
            name: index.to_string(),
            ..one
        })
        .collect();
    let (made, mut output) = made(&turned, &recipe(renditions.clone()));
    assert_eq!(made.len(), renditions.len());
    for (made, rendition) in made.iter().zip(renditions) {
        let rest = output.split_off(made.bytes as usize);
        let (company, alone) = (read_back(&output), read_back(&converted(&turned, &recipe([rendition]))));
        assert_eq!((company.width, company.height), (alone.width, alone.height));
        let apart = company
            .bytes
            .iter()
            .zip(&alone.bytes)
            .map(|(one, other)| u64::from(one.abs_diff(*other)));
        // Means: a level and a half of 255 at most; what is cut from the master is the same.
        assert!(
            apart.sum::<u64>() * 2 <= 3 * alone.bytes.len() as u64,
            "{} pixels wide",
            made.width
        );
        output = rest;
    }
}

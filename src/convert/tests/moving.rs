//! Animations, from uploads to renditions that are read back by other decoders than those that made them.

use std::io::Cursor;

use gif::{DisposalMethod, Repeat};
use image::AnimationDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;

use super::*;
use crate::recipe::{Animation, Gravity, Hundredths, Rotate};

/// What is shown, four channels a pixel, and for how many milliseconds.
type Shown = Vec<(Vec<u8>, u32)>;

fn shown(bytes: &[u8]) -> Shown {
    let input = Cursor::new(bytes);
    let frames = match Format::sniff(bytes).unwrap() {
        Format::Gif => GifDecoder::new(input).unwrap().into_frames(),
        Format::Webp => WebPDecoder::new(input).unwrap().into_frames(),
        _ => PngDecoder::new(input).unwrap().apng().unwrap().into_frames(),
    };
    let frame = |frame: image::ImageResult<image::Frame>| {
        let frame = frame.unwrap();
        let (milliseconds, parts) = frame.delay().numer_denom_ms();
        // What is transparent has no colour.
        let (pixels, _) = frame.buffer().as_raw().as_chunks::<4>();
        let seen = pixels
            .iter()
            .flat_map(|&pixel| if pixel[3] == 0 { [0; 4] } else { pixel });
        (seen.collect(), milliseconds / parts)
    };
    frames.map(frame).collect()
}

fn moving(format: Target) -> Rendition {
    Rendition {
        animation: Animation::Keep,
        lossless: true,
        ..one(format)
    }
}

/// A place, a size, a colour or none, and what becomes of it.
type Patch = ((u16, u16), (u16, u16), Option<u8>, DisposalMethod);

/// Every disposal, over one another, with holes.
const PATCHES: [Patch; 7] = [
    ((0, 0), (12, 9), Some(1), DisposalMethod::Keep),
    ((2, 1), (5, 5), Some(2), DisposalMethod::Previous),
    ((4, 3), (6, 4), Some(3), DisposalMethod::Background),
    ((0, 0), (3, 3), Some(0), DisposalMethod::Keep),
    ((5, 5), (9, 9), Some(2), DisposalMethod::Any),
    ((1, 1), (1, 1), None, DisposalMethod::Keep),
    ((0, 0), (12, 9), None, DisposalMethod::Background),
];

/// A GIF of 12 × 9 pixels with these frames.
fn gif(patches: &[Patch], repeat: Repeat) -> Vec<u8> {
    let palette = [0, 0, 0, 200, 30, 30, 30, 200, 30, 30, 30, 200];
    let mut encoder = gif::Encoder::new(Vec::new(), 12, 9, &palette).unwrap();
    encoder.set_repeat(repeat).unwrap();
    for (index, &((left, top), (width, height), colour, dispose)) in patches.iter().enumerate() {
        // Every fifth pixel is a hole.
        let pixel = |at: usize| colour.filter(|_| !at.is_multiple_of(5)).unwrap_or(0);
        let buffer = (0..usize::from(width) * usize::from(height)).map(pixel).collect();
        let frame = gif::Frame {
            left,
            top,
            width,
            height,
            dispose,
            transparent: Some(0),
            delay: 3 + index as u16,
            buffer,
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    encoder.into_inner().unwrap()
}

/// The same frames as an APNG, which knows of translucent pixels, too.
fn apng(patches: &[Patch], plays: u32, apart: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 12, 9);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_animated(patches.len() as u32, plays).unwrap();
    encoder.set_sep_def_img(apart).unwrap();
    let mut writer = encoder.write_header().unwrap();
    if apart {
        writer.write_image_data(&[99; 12 * 9 * 4]).unwrap();
    }
    for (index, &((left, top), size, colour, dispose)) in patches.iter().enumerate() {
        let (width, height) = (size.0.min(12 - left), size.1.min(9 - top));
        writer.reset_frame_position().unwrap();
        writer.set_frame_dimension(width.into(), height.into()).unwrap();
        writer.set_frame_position(left.into(), top.into()).unwrap();
        writer.set_frame_delay(30 + index as u16, 1000).unwrap();
        writer
            .set_blend_op(if index % 2 == 0 {
                png::BlendOp::Source
            } else {
                png::BlendOp::Over
            })
            .unwrap();
        writer
            .set_dispose_op(match dispose {
                DisposalMethod::Background => png::DisposeOp::Background,
                DisposalMethod::Previous => png::DisposeOp::Previous,
                _ => png::DisposeOp::None,
            })
            .unwrap();
        let pixel = |at: usize| match colour {
            Some(colour) if !at.is_multiple_of(5) => [colour * 60, 9, 90, 255],
            _ => [0; 4],
        };
        let pixels = (0..usize::from(width) * usize::from(height)).flat_map(pixel);
        writer.write_image_data(&pixels.collect::<Vec<u8>>()).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

#[test]
fn every_frame_is_what_it_was() {
    let gif_source = gif(&PATCHES, Repeat::Infinite);
    for (name, source) in [
        ("gif", gif_source.clone()),
        ("apng", apng(&PATCHES, 0, false)),
        ("apng apart", apng(&PATCHES, 0, true)),
    ] {
        let expected = shown(&source);
        assert_eq!(expected.len(), PATCHES.len());
        for target in [Target::Gif, Target::Webp] {
            let (made, output) = made(&source, &recipe([moving(target)]));
            assert_eq!((made[0].frames, made[0].bytes), (7, output.len() as u64), "{name}");
            assert_eq!((made[0].width, made[0].height), (12, 9));
            for (index, (seen, wanted)) in shown(&output).iter().zip(&expected).enumerate() {
                assert_eq!(seen.0, wanted.0, "{name} to {target:?}, frame {index}");
                if name == "gif" || target == Target::Webp {
                    assert_eq!(seen.1, wanted.1, "{name} to {target:?}, frame {index}");
                }
            }
            // And what was made is read as well as what was sent.
            let again = converted(&output, &recipe([moving(Target::Webp)]));
            assert_eq!(
                shown(&again).iter().map(|(pixels, _)| pixels).collect::<Vec<_>>(),
                expected.iter().map(|(pixels, _)| pixels).collect::<Vec<_>>(),
                "{name} to {target:?} to WebP"
            );
        }
    }
}

#[test]
fn an_animated_webp_is_cleared_and_replaced_as_it_says() {
    // A red canvas; a green square that is cleared; nothing, laid over; nothing, in place of what is there.
    let (still, flags) = (
        |pixel: [u8; 4]| {
            let pixels = Rc::new(pixels::Pixels::new((4, 4), Layout::Rgba, pixel.repeat(16)));
            let lossless = Rendition {
                lossless: true,
                ..one(Target::Webp)
            };
            let mut file = Vec::new();
            let order = encode::Order {
                rendition: &lossless,
                format: Format::Webp,
                kept: Kept::default(),
            };
            encode::encode(pixels, order, 0, &mut file).unwrap();
            file[12..].to_vec()
        },
        [0, 1, 0, 2],
    );
    let colours = [[255, 0, 0, 255], [0, 255, 0, 255], [0; 4], [0; 4]];
    let places = [0, 1, 0, 0];
    let mut chunks = vec![
        samples::extended(0x12, 8, 4),
        samples::riff_chunk(b"ANIM", &[0, 0, 0, 0, 3, 0]),
    ];
    for ((colour, flag), place) in colours.into_iter().zip(flags).zip(places) {
        let head = [place, 0, 0, 0, 0, 0, 3, 0, 0, 3, 0, 0, 70, 0, 0, flag];
        chunks.push(samples::riff_chunk(b"ANMF", &[&head[..], &still(colour)].concat()));
    }
    let source = samples::riff(&chunks);
    let output = converted(&source, &recipe([moving(Target::Gif)]));
    let row = |row: [u8; 8]| {
        let pixel = |&kind: &u8| [[0; 4], colours[0], colours[1]][usize::from(kind)];
        row.iter().flat_map(pixel).collect::<Vec<u8>>().repeat(4)
    };
    let expected = [
        row([1, 1, 1, 1, 0, 0, 0, 0]),
        row([1, 1, 2, 2, 2, 2, 0, 0]),
        row([1, 1, 0, 0, 0, 0, 0, 0]),
        row([0; 8]),
    ];
    let seen = shown(&output);
    assert_eq!(seen.len(), 4);
    for (index, ((pixels, milliseconds), wanted)) in seen.iter().zip(&expected).enumerate() {
        assert_eq!((pixels, *milliseconds), (wanted, 70), "frame {index}");
    }
}

#[test]
fn it_is_shown_as_often_as_before() {
    let repeat = |bytes: &[u8]| gif::DecodeOptions::new().read_info(bytes).unwrap().repeat();
    let plays = |bytes: &[u8]| {
        bytes
            .windows(4)
            .position(|name| name == b"ANIM")
            .map(|at| bytes[at + 12])
    };
    // A GIF counts repeats, the others count plays; 0 of theirs, and a word in a GIF, are for ever.
    for (count, times) in [(Repeat::Infinite, 0), (Repeat::Finite(0), 1), (Repeat::Finite(4), 5)] {
        let source = gif(&PATCHES, count);
        assert_eq!(repeat(&converted(&source, &recipe([moving(Target::Same)]))), count);
        let webp = converted(&source, &recipe([moving(Target::Webp)]));
        assert_eq!(plays(&webp), Some(times));
        assert_eq!(repeat(&converted(&webp, &recipe([moving(Target::Gif)]))), count);
        let apng = apng(&PATCHES, times.into(), false);
        assert_eq!(repeat(&converted(&apng, &recipe([moving(Target::Gif)]))), count);
    }
}

#[test]
fn every_frame_goes_the_same_way() {
    let source = gif(&[PATCHES[0], PATCHES[1], PATCHES[4]], Repeat::Infinite);
    let wishes = |format| Rendition {
        width: Some(10),
        height: Some(10),
        fit: Fit::Contain,
        rotate: Rotate::Right,
        blur: Hundredths(60),
        ..moving(format)
    };
    let moved = shown(&converted(&source, &recipe([wishes(Target::Webp)])));
    assert_eq!(moved.len(), 3);
    for ((moved, _), (whole, _)) in moved.iter().zip(shown(&source)) {
        let mut still = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut still);
        image::ImageEncoder::write_image(encoder, &whole, 12, 9, image::ExtendedColorType::Rgba8).unwrap();
        let alone = read_back(&converted(&still, &recipe([wishes(Target::Png)])));
        let alone = pixels::Pixels::with_alpha_channel(Rc::new(alone));
        // A colour counts as far as it can be seen.
        let seen = |bytes: &[u8]| -> Vec<i32> {
            let pixels = bytes.chunks_exact(4);
            let light = |pixel: &[u8]| [0, 1, 2].map(|channel| i32::from(pixel[channel]) * i32::from(pixel[3]) / 255);
            pixels.flat_map(light).collect()
        };
        let off = seen(moved)
            .into_iter()
            .zip(seen(&alone.bytes))
            .map(|(a, b)| (a - b).abs())
            .max();
        assert!(off < Some(8), "{off:?}");
    }
}

#[test]
fn attention_looks_at_the_first_frame_alone() {
    let left = ((0, 0), (4, 9), Some(1), DisposalMethod::Background);
    let right = ((8, 0), (4, 9), Some(2), DisposalMethod::Background);
    let cut = Rendition {
        width: Some(4),
        height: Some(9),
        fit: Fit::Cover,
        gravity: Gravity::Attention,
        ..moving(Target::Gif)
    };
    let visible = |patches: &[Patch]| {
        let frames = shown(&converted(&gif(patches, Repeat::Infinite), &recipe([cut.clone()])));
        frames
            .iter()
            .map(|(pixels, _)| pixels.iter().any(|&sample| sample != 0))
            .collect::<Vec<_>>()
    };
    assert_eq!(visible(&[left, right]), [true, false]);
    assert_eq!(visible(&[right, left]), [true, false]);
}

#[test]
fn others_take_the_first_frame() {
    let source = gif(&PATCHES, Repeat::Infinite);
    for (rendition, format) in [
        (one(Target::Same), Format::Png),
        (one(Target::Gif), Format::Gif),
        (one(Target::Webp), Format::Webp),
        (moving(Target::Jpeg), Format::Jpeg),
        (moving(Target::Png), Format::Png),
    ] {
        let (made, output) = made(&source, &recipe([rendition]));
        assert_eq!((made[0].format, made[0].frames), (format, 1));
        assert_eq!(
            preflight::examine(&output, &Limits::default(), Truncated::Refused)
                .unwrap()
                .frames,
            1
        );
    }
    // A still picture has nothing to keep, and renditions of both kinds go together.
    let still = samples::gif(61, 47, 1);
    assert_eq!(made(&still, &recipe([moving(Target::Webp)])).0[0].frames, 1);
    let mut both = [moving(Target::Webp), one(Target::Png), moving(Target::Gif)];
    both.iter_mut()
        .zip(["a", "b", "c"])
        .for_each(|(it, name)| it.name = name.into());
    let (made, output) = made(&source, &recipe(both));
    assert_eq!(made.iter().map(|made| made.frames).collect::<Vec<_>>(), [7, 1, 7]);
    assert_eq!(made.iter().map(|made| made.bytes).sum::<u64>(), output.len() as u64);
}

#[test]
fn what_is_too_much_is_refused() {
    let source = gif(&PATCHES, Repeat::Infinite);
    let limits = Limits {
        frame_pixels: 12 * 9 * 6,
        ..Limits::default()
    };
    let refusal = inspect(&source, &recipe([moving(Target::Webp)]), &limits).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyFrames);
    let refused = |rendition: Rendition, limits: &Limits| {
        let end = convert(&source, &recipe([rendition]), limits, &mut |_| {}, &mut Vec::new());
        match end {
            Err(Failure::Refused(refusal)) => refusal.exceeded.unwrap().limit,
            other => panic!("{other:?}"),
        }
    };
    let limits = Limits {
        output: bytesize::ByteSize(200),
        ..Limits::default()
    };
    assert_eq!(refused(moving(Target::Webp), &limits), "animation_bytes");
    for target in [Target::Gif, Target::Webp] {
        let short = Rendition {
            max_bytes: Some(60),
            ..moving(target)
        };
        assert_eq!(refused(short, &Limits::default()), "max_bytes");
    }
}

#[test]
fn frames_that_are_there_whole_are_kept_of_a_cut_one_where_that_is_tolerated() {
    let source = gif(&PATCHES, Repeat::Infinite);
    let cut = &source[..source.len() - 30];
    let tolerant = Rendition {
        tolerate_truncated: true,
        ..moving(Target::Gif)
    };
    let (made, output) = made(cut, &recipe([tolerant]));
    assert!(made[0].frames > 3 && made[0].frames < 7, "{made:?}");
    assert_eq!(Vec::from(made[0].notes), [Note::Truncated]);
    assert_eq!(shown(&output)[..3], shown(&source)[..3]);
    assert!(outcome(cut, &recipe([moving(Target::Gif)])).is_err());
}

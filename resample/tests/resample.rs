//! The resampler, used as a library: built into its own tests, it would be compiled twice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use lazaret_resample::*;

const WHOLE: Part = Part {
    left: 0.0,
    top: 0.0,
    width: 8.0,
    height: 8.0,
};

#[test]
fn one_colour_stays_that_colour() {
    let picture: Vec<u8> = [200, 100, 50, 128].repeat(64);
    for alpha in [Alpha::Weighs, Alpha::Weighed] {
        let small = resize(Channels::Rgba, (&picture, (8, 8)), WHOLE, (3, 2), alpha).unwrap();
        assert_eq!(small.len(), 3 * 2 * 4);
        let near = |(index, value): (usize, &u8)| value.abs_diff(picture[index % 4]) <= 1;
        assert!(small.iter().enumerate().all(near), "{small:?}");
    }
    let deep = resize_deep(Channels::Rgb, (&[700; 64 * 3], (8, 8)), (5, 5)).unwrap();
    assert_eq!(deep, vec![700; 5 * 5 * 3]);
}

#[test]
fn what_is_not_there_is_an_error() {
    let short = vec![0; 63];
    assert!(resize(Channels::Grey, (&short, (8, 8)), WHOLE, (2, 2), Alpha::Weighs).is_err());
    let part = Part { left: 4.0, ..WHOLE };
    assert!(resize(Channels::Grey, (&[0; 64], (8, 8)), part, (2, 2), Alpha::Weighs).is_err());
    assert!(multiply(&mut [0; 255], (8, 8)).is_err() && divide_deep(&mut [0; 255], (8, 8)).is_err());
}

#[test]
fn multiplied_and_divided_is_nearly_the_same() {
    let mut picture: Vec<u8> = [200, 100, 50, 128].repeat(64);
    let before = picture.clone();
    multiply(&mut picture, (8, 8)).unwrap();
    assert_eq!(picture[..4], [100, 50, 25, 128]);
    divide(&mut picture, (8, 8)).unwrap();
    assert!(
        picture
            .iter()
            .zip(&before)
            .all(|(one, other)| one.abs_diff(*other) <= 1)
    );
}

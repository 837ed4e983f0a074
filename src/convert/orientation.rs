//! EXIF orientation: how stored pixels lie on the screen. `[pure]`
#![forbid(unsafe_code)]

use crate::recipe::{Flip, Rendition, Rotate};

/// One of the eight EXIF orientations (tag 274, CIPA DC-008 §4.6.4); 1 where absent or out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Orientation {
    /// Stored as displayed.
    pub(super) const UPRIGHT: Self = Self(1);

    /// The orientation for an EXIF value.
    pub(super) fn from_exif(value: u32) -> Self {
        match value {
            2..=8 => Self(value as u8),
            _ => Self::UPRIGHT,
        }
    }

    /// How a rendition turns the picture that is upright: `rotate` first, then `flip`.
    pub(super) fn of(rendition: &Rendition) -> Self {
        let rotated = match rendition.rotate {
            Rotate::Not => Self::UPRIGHT,
            Rotate::Right => Self(6),
            Rotate::Around => Self(3),
            Rotate::Left => Self(8),
        };
        let flipped = match rendition.flip {
            None => Self::UPRIGHT,
            Some(Flip::Horizontal) => Self(2),
            Some(Flip::Vertical) => Self(4),
            Some(Flip::Both) => Self(3),
        };
        rotated.then(flipped)
    }

    /// This turn and then another one, as one.
    pub(super) fn then(self, next: Self) -> Self {
        // Where the first two pixels of a row come from tells all eight apart, in a store that is not square.
        let store = (3, 2);
        let size = next.turn(self.turn(store));
        let came_from = |pixel| self.stored(next.stored(pixel, self.turn(store)), store);
        let same = |one: &Self| {
            let fits = one.turn(store) == size;
            fits && [(0, 0), (1, 0)]
                .into_iter()
                .all(|pixel| one.stored(pixel, store) == came_from(pixel))
        };
        (1..=8).map(Self).find(same).unwrap_or(Self::UPRIGHT)
    }

    /// Whether width and height change places between store and display.
    pub(super) fn swaps(self) -> bool {
        self.0 >= 5
    }

    /// Size as displayed for a size as stored, and the other way round.
    pub(super) fn turn(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.swaps() { (height, width) } else { (width, height) }
    }

    /// Where the displayed pixel (x, y) is stored, in a store of `width` × `height`.
    pub(super) fn stored(self, (x, y): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
        let left = |x: u32| width - 1 - x;
        let up = |y: u32| height - 1 - y;
        match self.0 {
            2 => (left(x), y),
            3 => (left(x), up(y)),
            4 => (x, up(y)),
            5 => (y, x),
            6 => (y, up(x)),
            7 => (left(y), up(x)),
            8 => (left(y), x),
            _ => (x, y),
        }
    }

    /// Where a displayed, non-empty rectangle (x, y, width, height) is stored, in a store of size `store`.
    pub(super) fn stored_part(self, part: (u32, u32, u32, u32), store: (u32, u32)) -> (u32, u32, u32, u32) {
        let (x, y, width, height) = part;
        let one = self.stored((x, y), store);
        let other = self.stored((x + width - 1, y + height - 1), store);
        let (width, height) = self.turn((width, height));
        (one.0.min(other.0), one.1.min(other.1), width, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_land_where_exif_says() {
        // What EXIF calls the 0th row and 0th column: where the stored top left corner is displayed, in a store of 3 × 2.
        let displayed = [(0, 0), (2, 0), (2, 1), (0, 1), (0, 0), (1, 0), (1, 2), (0, 2)];
        for (value, corner) in (1..=8).zip(displayed) {
            assert_eq!(
                Orientation::from_exif(value).stored(corner, (3, 2)),
                (0, 0),
                "orientation {value}"
            );
        }
    }

    #[test]
    fn two_turns_are_one() {
        for (first, next) in (1..=8).flat_map(|first| (1..=8).map(move |next| (Orientation(first), Orientation(next))))
        {
            let (store, both) = ((5, 3), first.then(next));
            let between = first.turn(store);
            let (width, height) = next.turn(between);
            assert_eq!(both.turn(store), (width, height));
            for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
                let came_from = first.stored(next.stored((x, y), between), store);
                assert_eq!(both.stored((x, y), store), came_from, "{first:?} then {next:?}");
            }
        }
    }

    #[test]
    fn renditions_turn_clockwise_and_then_mirror() {
        // Where the top left pixel of the result comes from, in a picture of 3 × 2.
        let from = |rotate, flip| {
            let rendition = Rendition {
                rotate,
                flip,
                ..Rendition::named("turned")
            };
            Orientation::of(&rendition).stored((0, 0), (3, 2))
        };
        assert_eq!(from(Rotate::Not, None), (0, 0));
        assert_eq!(from(Rotate::Right, None), (0, 1));
        assert_eq!(from(Rotate::Around, None), (2, 1));
        assert_eq!(from(Rotate::Left, None), (2, 0));
        assert_eq!(from(Rotate::Not, Some(Flip::Horizontal)), (2, 0));
        assert_eq!(from(Rotate::Not, Some(Flip::Vertical)), (0, 1));
        assert_eq!(from(Rotate::Not, Some(Flip::Both)), (2, 1));
        // Turned, the left column is on top; mirrored, its top pixel is on the left.
        assert_eq!(from(Rotate::Right, Some(Flip::Horizontal)), (0, 0));
    }

    #[test]
    fn parts_keep_their_area() {
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value);
            let (width, height) = orientation.turn((30, 20));
            let (x, y, w, h) = orientation.stored_part((1, 2, width - 4, height - 3), (30, 20));
            assert_eq!(w * h, (width - 4) * (height - 3));
            assert!(x + w <= 30 && y + h <= 20, "orientation {value}");
        }
    }

    #[test]
    fn nonsense_is_upright() {
        assert_eq!(Orientation::from_exif(0), Orientation::UPRIGHT);
        assert_eq!(Orientation::from_exif(65_537), Orientation::UPRIGHT);
    }
}

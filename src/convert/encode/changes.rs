//! What of a canvas differs from the one before. `[pure]`
#![forbid(unsafe_code)]

/// A part of a canvas, of at least one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Part {
    /// All of it.
    pub(super) fn whole((width, height): (u32, u32)) -> Self {
        Self {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// How many pixels it has.
    pub(super) fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Where its pixel of this index is in a canvas of this width.
    pub(super) fn place(self, index: usize, width: u32) -> usize {
        let (x, y) = (index % self.width as usize, index / self.width as usize);
        (self.top as usize + y) * width as usize + self.left as usize + x
    }

    /// The same, or more, beginning at even places.
    pub(super) fn evened(self) -> Self {
        let (left, top) = (self.left & !1, self.top & !1);
        Self {
            left,
            top,
            width: self.width + self.left - left,
            height: self.height + self.top - top,
        }
    }
}

/// The smallest part of a canvas, `width` pixels wide, that holds all pixels which differ; the first pixel where none does.
pub(super) fn changed(before: &[[u8; 4]], after: &[[u8; 4]], width: u32) -> Part {
    let across = (width as usize).max(1);
    let rows = before.chunks_exact(across).zip(after.chunks_exact(across));
    let (mut left, mut right) = (across, 0);
    let (mut top, mut bottom) = (None, 0);
    for (y, (before, after)) in rows.enumerate() {
        let differs = |x: &usize| before[*x] != after[*x];
        let Some(first) = (0..across).find(differs) else {
            continue;
        };
        let last = (first..across).rev().find(differs).unwrap_or(first);
        (left, right) = (left.min(first), right.max(last));
        top.get_or_insert(y);
        bottom = y;
    }
    match top {
        None => Part::whole((1, 1)),
        Some(top) => Part {
            left: left as u32,
            top: top as u32,
            width: (right - left + 1) as u32,
            height: (bottom - top + 1) as u32,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_the_same_is_one_pixel() {
        let canvas = [[7; 4]; 6];
        assert_eq!(changed(&canvas, &canvas, 3), Part::whole((1, 1)));
    }

    proptest! {
        /// Every change is in the part, and each of its edges has one.
        #[test]
        fn the_part_is_the_smallest_that_holds_all(width in 1u32..9, changes in proptest::collection::vec(any::<bool>(), 1..60)) {
            let count = changes.len() / width as usize * width as usize;
            let after: Vec<[u8; 4]> = changes[..count].iter().map(|&change| [u8::from(change); 4]).collect();
            let before = vec![[0; 4]; count];
            let part = changed(&before, &after, width);
            let mut seen: Vec<usize> = (0..part.pixels()).map(|index| part.place(index, width)).collect();
            seen.retain(|&at| after.get(at).is_some_and(|pixel| *pixel != [0; 4]));
            prop_assert_eq!(seen.len(), changes[..count].iter().filter(|change| **change).count());
            if !seen.is_empty() {
                let (width, columns) = (width as usize, part.left as usize);
                prop_assert!(seen.iter().any(|at| at % width == columns));
                prop_assert!(seen.iter().any(|at| at % width == columns + part.width as usize - 1));
                prop_assert!(seen.iter().any(|at| at / width == part.top as usize));
                prop_assert!(seen.iter().any(|at| at / width == (part.top + part.height) as usize - 1));
            }
            let evened = part.evened();
            prop_assert!(evened.left.is_multiple_of(2) && evened.top.is_multiple_of(2));
            prop_assert_eq!((evened.left + evened.width, evened.top + evened.height), (part.left + part.width, part.top + part.height));
        }
    }
}

//! Which rendition is cut from which picture, and in what order: decided from headers and recipe, before a pixel is there. `[pure]`
//!
//! One decode serves all renditions. A rendition is cut from the smallest other one that shows all of it and leaves the resampler
//! its factor of 2, else from the decoded picture; renditions of the same part and size share one cut. What is cut is neither turned nor
//! filtered, padded or laid on a background yet, so that these may differ. Renditions are finished in the order of the recipe, whatever
//! the order in which they are cut, and every picture goes as soon as nothing needs it. The placeholder comes last, as one more.
#![forbid(unsafe_code)]

use super::decode;
use super::orientation::Orientation;
use super::pixels::Pixels;
use super::placeholder;
use super::preflight::Headers;
use super::scale::{KEPT, Scale};
use super::transform::attention;
use crate::recipe::{Fit, Geometry, Gravity, Keep, Recipe, Rendition};

/// What to decode, and what to make of it.
#[derive(Debug)]
pub(super) struct Plan {
    /// The scale of the decoded picture.
    pub(super) scale: Scale,
    /// What is made: the recipe's renditions, then the placeholder's small picture.
    pub(super) wanted: Vec<Wanted>,
    /// What to do, in this order.
    pub(super) steps: Vec<Step>,
}

/// One thing to make.
#[derive(Debug)]
pub(super) struct Wanted {
    /// As the recipe has it.
    pub(super) rendition: Rendition,
    /// Its sizes for this upload.
    pub(super) geometry: Geometry,
    /// What is cut for it.
    pub(super) piece: Piece,
}

/// A part of the picture in some size: what renditions have in common before they are turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// x, y, width and height, in pixels of the whole picture as it is stored, or drawn.
    pub(super) part: (u32, u32, u32, u32),
    /// What the part is resized to.
    pub(super) size: (u32, u32),
    /// Whether light is mixed, and not samples.
    pub(super) linear: bool,
    /// Whether the upload's own colours stay, where it has a profile.
    pub(super) own_colours: bool,
    /// Whether the part goes to where people look, which only the pixels tell.
    pub(super) aimed: bool,
    /// Whether it is cut from every frame of an animation, and not once.
    pub(super) moves: bool,
}

/// A picture that renditions are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The decoded one.
    Master,
    /// What was cut for the wanted thing with this index.
    Cut(usize),
}

/// One step; `last` says that its source is not needed afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The piece of a wanted thing is cut from a source.
    Cut { index: usize, from: Source, last: bool },
    /// The cut of a wanted thing is turned, filtered, padded, encoded and written.
    Finish { index: usize, last: bool },
    /// The animation of a wanted thing is read, cut and written, frame by frame; nothing of the master is needed for it.
    Animate { index: usize, last: bool },
}

impl Step {
    fn source(self) -> Source {
        match self {
            Self::Cut { from, .. } => from,
            Self::Finish { index, .. } => Source::Cut(index),
            // It lets the master go, where it is the last that might.
            Self::Animate { .. } => Source::Master,
        }
    }
}

impl Plan {
    /// The plan for an upload with these headers.
    pub(super) fn new(headers: &Headers, recipe: &Recipe) -> Self {
        let small = recipe.placeholder().map(|_| placeholder::rendition());
        let renditions = recipe.renditions().iter().cloned().chain(small);
        let wanted: Vec<_> = renditions.map(|one| Wanted::new(one, headers)).collect();
        let pieces: Vec<_> = wanted.iter().map(|wanted| wanted.piece).collect();
        // The placeholder's picture serves nothing else: with it or without, renditions are the same.
        let serving = &pieces[..recipe.renditions().len()];
        let sources: Vec<_> = pieces
            .iter()
            .enumerate()
            .map(|(index, own)| source(serving, index, own))
            .collect();
        Self {
            scale: decode::scale(headers, recipe),
            wanted,
            steps: steps(&sources, |index| pieces[index].moves),
        }
    }

    /// Moves what is to show where people look, now that there are pixels; sizes stay.
    pub(super) fn aim(&mut self, master: &Pixels, headers: &Headers) {
        for wanted in self.wanted.iter_mut().filter(|wanted| wanted.piece.aimed) {
            let rendition = &wanted.rendition;
            let anchor = attention::anchor(master, rendition, headers.orientation, |anchor| {
                headers.geometry_toward(rendition, anchor)
            });
            wanted.geometry = headers.geometry_toward(rendition, anchor);
            wanted.piece = Piece::of(rendition, &wanted.geometry, headers);
        }
    }
}

impl Plan {
    /// Whether the master's colours may be multiplied by alpha once, for all: not where something takes its pixels as they are, for the
    /// way there and back is not exact, and not where light is mixed.
    pub(super) fn premultiplies(&self) -> bool {
        let stills = || {
            self.wanted
                .iter()
                .map(|wanted| wanted.piece)
                .filter(|piece| !piece.moves)
        };
        stills().count() > 0 && stills().all(|piece| piece.is_resized() && !piece.linear)
    }

    /// Whether something stays an animation.
    pub(super) fn animates(&self) -> bool {
        self.wanted.iter().any(|wanted| wanted.piece.moves)
    }

    /// Whether the master's colours are converted once, for all: where what is cut from it has as many pixels, something takes its
    /// pixels as they are, so that each conversion would need a copy, or light is mixed, which is known of sRGB alone.
    pub(super) fn converts_early(&self, master: &Pixels) -> bool {
        let cut = self.steps.iter().filter_map(|step| match step {
            Step::Cut { index, from, .. } if *from == Source::Master => Some(self.wanted[*index].piece),
            _ => None,
        });
        let (mut pixels, mut needed) = (0, false);
        for piece in cut {
            pixels += u64::from(piece.size.0) * u64::from(piece.size.1);
            needed |= !piece.is_resized() || piece.linear;
        }
        needed || pixels >= u64::from(master.width) * u64::from(master.height)
    }
}

impl Wanted {
    fn new(rendition: Rendition, headers: &Headers) -> Self {
        let geometry = headers.geometry(&rendition);
        Self {
            piece: Piece::of(&rendition, &geometry, headers),
            geometry,
            rendition,
        }
    }
}

impl Piece {
    fn of(rendition: &Rendition, geometry: &Geometry, headers: &Headers) -> Self {
        let orientation = headers.orientation.then(Orientation::of(rendition));
        Self {
            part: orientation.stored_part(geometry.crop, headers.master()),
            size: orientation.turn(geometry.resized),
            linear: rendition.linear,
            own_colours: rendition.keep.contains(&Keep::Icc),
            aimed: rendition.gravity == Gravity::Attention && rendition.fit == Fit::Cover,
            moves: rendition.moves(headers.format, headers.frames),
        }
    }

    /// Whether pixels are computed, and not only copied.
    pub(super) fn is_resized(&self) -> bool {
        (self.part.2, self.part.3) != self.size
    }
}

/// What the piece with this index is cut from, of those of the renditions. There is no circle: a source has four times the pixels for
/// the same part, or is the first of its like.
fn source(serving: &[Piece], index: usize, own: &Piece) -> Source {
    if own.aimed || own.moves {
        return Source::Master;
    }
    if let Some(first) = serving.iter().take(index).position(|other| other == own) {
        return Source::Cut(first);
    }
    let larger = serving.iter().enumerate().filter(|(_, other)| suffices(other, own));
    let smallest = larger.min_by_key(|(index, other)| (u64::from(other.size.0) * u64::from(other.size.1), *index));
    smallest.map_or(Source::Master, |(index, _)| Source::Cut(index))
}

/// Whether `own` can be cut from what was cut for `other`: nothing of it is missing or was enlarged, the factor is left, and colours
/// are the same. Light is mixed once, from whole pixels.
fn suffices(other: &Piece, own: &Piece) -> bool {
    let (x, y, width, height) = own.part;
    let (left, top, across, down) = other.part;
    let within = x >= left && y >= top && x + width <= left + across && y + height <= top + down;
    let reduces = |edge: u32, resized: u32, own: u32, own_resized: u32| {
        let factor = f64::from(resized) / f64::from(edge);
        factor <= 1.0 && f64::from(own) * factor >= KEPT * f64::from(own_resized)
    };
    within
        && !(other.aimed || other.moves || own.linear || other.linear)
        && other.own_colours == own.own_colours
        && other.is_resized()
        && reduces(across, other.size.0, width, own.size.0)
        && reduces(down, other.size.1, height, own.size.1)
}

fn steps(sources: &[Source], moves: impl Fn(usize) -> bool) -> Vec<Step> {
    let mut steps = Vec::with_capacity(2 * sources.len());
    let mut cut = vec![false; sources.len()];
    for index in 0..sources.len() {
        if moves(index) {
            steps.push(Step::Animate { index, last: false });
            continue;
        }
        // What it is cut from is cut first, and so on.
        let mut missing = Vec::new();
        let mut next = Source::Cut(index);
        while let Source::Cut(index) = next
            && !cut[index]
        {
            cut[index] = true;
            missing.push(index);
            next = sources[index];
        }
        steps.extend(missing.into_iter().rev().map(|index| Step::Cut {
            index,
            from: sources[index],
            last: false,
        }));
        steps.push(Step::Finish { index, last: false });
    }
    for index in 0..steps.len() {
        let source = steps[index].source();
        let needed = steps[index + 1..].iter().any(|step| step.source() == source);
        match &mut steps[index] {
            Step::Cut { last, .. } | Step::Finish { last, .. } | Step::Animate { last, .. } => *last = !needed,
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Format;
    use crate::recipe::{Animation, Target};

    fn boxed(width: u32, height: u32, fit: Fit) -> Rendition {
        Rendition {
            width: Some(width),
            height: Some(height),
            fit,
            ..Rendition::named("one")
        }
    }

    fn sources(renditions: &[Rendition]) -> Vec<Source> {
        let headers = Headers::still(Format::Png, (4000, 3000), 3, 36_000_000);
        let piece = |one: &Rendition| Wanted::new(one.clone(), &headers).piece;
        let pieces: Vec<_> = renditions.iter().map(piece).collect();
        let each = pieces.iter().enumerate();
        each.map(|(index, own)| source(&pieces, index, own)).collect()
    }

    #[test]
    fn each_is_cut_from_the_smallest_that_suffices() {
        let inside = |edge| boxed(edge, edge, Fit::Inside);
        let renditions = [inside(320), inside(1024), inside(2048), inside(600)];
        let expected = [Source::Cut(1), Source::Cut(2), Source::Master, Source::Cut(2)];
        assert_eq!(sources(&renditions), expected);
    }

    #[test]
    fn what_is_alike_is_cut_once() {
        let padded = boxed(400, 600, Fit::Contain);
        let plain = boxed(400, 600, Fit::Inside);
        let renditions = [padded, plain.clone(), plain];
        assert_eq!(sources(&renditions), [Source::Master, Source::Cut(0), Source::Cut(0)]);
    }

    #[test]
    fn what_lacks_a_part_or_was_enlarged_is_no_source() {
        let square = boxed(1000, 1000, Fit::Cover);
        let whole = boxed(200, 200, Fit::Inside);
        assert_eq!(sources(&[square.clone(), whole]), [Source::Master; 2]);
        // The other way round the part is there.
        assert_eq!(
            sources(&[boxed(1500, 1500, Fit::Inside), boxed(200, 200, Fit::Cover)]),
            [Source::Master, Source::Cut(0)]
        );
        let enlarged = Rendition {
            enlarge: true,
            ..boxed(8000, 8000, Fit::Inside)
        };
        assert_eq!(sources(&[enlarged, square]), [Source::Master; 2]);
    }

    #[test]
    fn other_colours_light_and_what_is_aimed_have_the_master() {
        let (large, small) = (boxed(1500, 1500, Fit::Inside), boxed(200, 200, Fit::Inside));
        let own = Rendition {
            keep: vec![Keep::Icc],
            ..small.clone()
        };
        let linear = Rendition {
            linear: true,
            ..small.clone()
        };
        let aimed = Rendition {
            gravity: Gravity::Attention,
            fit: Fit::Cover,
            ..small.clone()
        };
        let renditions = [large, own, linear, aimed.clone(), aimed, small];
        let mut expected = [Source::Master; 6];
        expected[5] = Source::Cut(0);
        assert_eq!(sources(&renditions), expected);
    }

    #[test]
    fn a_source_goes_with_its_last_use() {
        let (master, first) = (Source::Master, Source::Cut(1));
        let cut = |index, from, last| Step::Cut { index, from, last };
        let finish = |index, last| Step::Finish { index, last };
        let expected = [
            cut(1, master, true),
            cut(0, first, false),
            finish(0, true),
            finish(1, true),
        ];
        assert_eq!(steps(&[first, master], |_| false), expected);
    }

    #[test]
    fn an_animation_serves_nothing_and_lets_the_master_go() {
        let headers = Headers {
            frames: 3,
            ..Headers::still(Format::Gif, (4000, 3000), 4, 48_000_000)
        };
        let small = boxed(100, 100, Fit::Inside);
        let moving = Rendition {
            format: Target::Webp,
            animation: Animation::Keep,
            ..boxed(1000, 1000, Fit::Inside)
        };
        let steps = |renditions| Plan::new(&headers, &Recipe::new(renditions).unwrap()).steps;
        let animate = |index, last| Step::Animate { index, last };
        let cut = |index, last| Step::Cut {
            index,
            from: Source::Master,
            last,
        };
        let finish = |index| Step::Finish { index, last: true };
        let other = Rendition {
            name: "other".into(),
            ..small
        };
        assert_eq!(
            steps(vec![moving.clone(), other.clone()]),
            [animate(0, false), cut(1, true), finish(1)]
        );
        assert_eq!(
            steps(vec![other, moving.clone()]),
            [cut(0, false), finish(0), animate(1, true)]
        );
        assert_eq!(steps(vec![moving]), [animate(0, true)]);
    }

    fn some() -> impl Strategy<Value = Rendition> {
        let fit = prop_oneof![Just(Fit::Inside), Just(Fit::Cover), Just(Fit::Contain), Just(Fit::Fill)];
        let edge = prop_oneof![1u32..60, 1u32..4000];
        (edge.clone(), edge, fit, any::<bool>()).prop_map(|(width, height, fit, enlarge)| Rendition {
            enlarge,
            ..boxed(width, height, fit)
        })
    }

    proptest! {
        #[test]
        fn every_rendition_is_cut_once_and_finished_in_order(renditions in prop::collection::vec(some(), 1..8)) {
            let sources = sources(&renditions);
            let steps = steps(&sources, |_| false);
            let mut there = vec![false; renditions.len()];
            let mut gone = Vec::new();
            let mut finished = Vec::new();
            for step in steps {
                prop_assert!(!gone.contains(&step.source()), "{step:?} of {sources:?}");
                match step {
                    Step::Cut { index, from, last } => {
                        if let Source::Cut(from) = from {
                            prop_assert!(there[from]);
                        }
                        prop_assert!(!there[index]);
                        there[index] = true;
                        gone.extend(last.then_some(from));
                    }
                    Step::Finish { index, last } => {
                        prop_assert!(there[index]);
                        finished.push(index);
                        gone.extend(last.then_some(Source::Cut(index)));
                    }
                    Step::Animate { .. } => prop_assert!(false, "an animation of a still"),
                }
            }
            prop_assert_eq!(finished, (0..renditions.len()).collect::<Vec<_>>());
            prop_assert_eq!(gone.len(), renditions.len() + usize::from(sources.contains(&Source::Master)));
        }
    }
}

//! How many bytes of layers a renderer holds at once, from the parsed tree: what it takes for groups that are drawn apart, their
//! filters, clip paths and masks, and for patterns.
//!
//! It follows resvg's renderer: change them together. Nothing recurses deeper than the renderer itself.
#![forbid(unsafe_code)]

use resvg::tiny_skia::Transform;
use resvg::usvg::{ClipPath, Group, Mask, Node, Paint};

/// Bytes of a pixel.
const PIXEL: f64 = 4.0;
/// Copies of a filter's region beside the result of each step: the source, its part, and a blur's 16 bytes a pixel.
const FILTER_COPIES: f64 = 7.0;
/// A layer reaches beyond the picture by twice its size on each side at most.
const BEYOND: f32 = 2.0;

/// The most bytes that are held at once while `group` is drawn on a canvas of `canvas`.
pub(super) fn bytes(group: &Group, transform: Transform, canvas: (u32, u32)) -> u64 {
    let canvas = (canvas.0 as f32, canvas.1 as f32);
    Weigher { canvas }.children(group, transform).min(u64::MAX as f64) as u64
}

struct Weigher {
    canvas: (f32, f32),
}

impl Weigher {
    fn children(&self, group: &Group, transform: Transform) -> f64 {
        let each = group.children().iter().map(|node| match node {
            Node::Group(group) => self.group(group, transform),
            Node::Path(path) => {
                let fill = path.fill().map_or(0.0, |fill| self.paint(fill.paint(), transform));
                let stroke = path
                    .stroke()
                    .map_or(0.0, |stroke| self.paint(stroke.paint(), transform));
                fill.max(stroke)
            }
            Node::Text(text) => self.group(text.flattened(), transform),
            // Pictures are left out.
            Node::Image(_) => 0.0,
        });
        each.fold(0.0, f64::max)
    }

    fn group(&self, group: &Group, transform: Transform) -> f64 {
        let transform = transform.pre_concat(group.transform());
        if !group.should_isolate() {
            return self.children(group, transform);
        }
        let layer = self.layer(group, transform);
        let filters = group.filters().iter();
        let filters = filters.map(|filter| layer * (filter.primitives().len() as f64 + FILTER_COPIES));
        let clip = group.clip_path().map_or(0.0, |clip| self.clip(clip, layer, transform));
        let mask = group.mask().map_or(0.0, |mask| self.mask(mask, layer, transform));
        let beside = filters.fold(0.0, f64::max).max(clip).max(mask);
        layer + beside.max(self.children(group, transform))
    }

    /// Bytes of the layer that a group is drawn into.
    fn layer(&self, group: &Group, transform: Transform) -> f64 {
        let (width, height) = self.canvas;
        let Some(bounds) = group.layer_bounding_box().transform(transform) else {
            return 0.0;
        };
        let span = |from: f32, to: f32, edge: f32| {
            let (from, to) = (from.max(-BEYOND * edge), to.min((BEYOND + 1.0) * edge));
            // Two pixels more on each side, for smooth edges.
            f64::from((to - from).max(0.0)) + 5.0
        };
        span(bounds.left(), bounds.right(), width) * span(bounds.top(), bounds.bottom(), height) * PIXEL
    }

    /// A picture of the clipped layer's size, one byte a pixel of it, and the same again for what clips the clip path.
    fn clip(&self, clip: &ClipPath, layer: f64, transform: Transform) -> f64 {
        let within = clip.clip_path().map_or(0.0, |inner| self.clip(inner, layer, transform));
        let children = self.clipped_children(clip.root(), layer, transform);
        layer * 1.25 + within.max(children)
    }

    /// A child of a clip path that is clipped itself is drawn on a picture of its own.
    fn clipped_children(&self, group: &Group, layer: f64, transform: Transform) -> f64 {
        let each = group.children().iter().map(|node| match node {
            Node::Group(inner) => {
                let own = inner
                    .clip_path()
                    .map_or(0.0, |clip| layer + self.clip(clip, layer, transform));
                own.max(self.clipped_children(inner, layer, transform))
            }
            _ => 0.0,
        });
        each.fold(0.0, f64::max)
    }

    fn mask(&self, mask: &Mask, layer: f64, transform: Transform) -> f64 {
        let within = mask.mask().map_or(0.0, |inner| self.mask(inner, layer, transform));
        layer * 1.5 + within.max(self.children(mask.root(), transform))
    }

    /// The picture of a pattern.
    fn paint(&self, paint: &Paint, transform: Transform) -> f64 {
        let Paint::Pattern(pattern) = paint else {
            return 0.0;
        };
        let (across, down) = transform.pre_concat(pattern.transform()).get_scale();
        let rect = pattern.rect();
        let edge = |length: f32, scale: f32| f64::from((length * scale).round().max(0.0));
        let size = edge(rect.width(), across) * edge(rect.height(), down) * PIXEL;
        size + self.children(pattern.root(), Transform::from_scale(across, down))
    }
}

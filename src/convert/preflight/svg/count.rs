//! What is in a document, and what references make of it. No recursion, and each element is looked at once.

use std::collections::HashMap;

use resvg::usvg::roxmltree::{Document, Node, NodeId};

use super::unsupported;
use crate::convert::preflight::at_most;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// Words of attributes and styles that make layers. `fill-opacity` and its like make none, and count too.
const LAYERED: [&str; 6] = ["opacity", "filter", "mask", "clip-path", "blend", "isolation"];

/// Most bytes of one text element: setting it takes time that grows faster than it does.
const MOST_CHARACTERS: u64 = 20_000;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Elements, each as often as what refers to it draws it.
    pub(super) elements: u64,
    /// Bytes of what is in text elements, each as often as it is drawn.
    pub(super) characters: u64,
    /// Bytes of paths, each as often as it is drawn.
    pub(super) points: u64,
    /// Elements in the largest marker, at least 1; 0 where there is none.
    pub(super) marker: u64,
    /// Whether markers may be drawn at each point of a path, and not at its ends alone.
    pub(super) mid_markers: bool,
    /// Whether anything is drawn into a layer of its own.
    pub(super) layered: bool,
    /// Steps of the filter that has most.
    pub(super) filter_steps: u64,
}

/// An element and all that is in it or referred to from it.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    elements: u64,
    characters: u64,
    points: u64,
    height: u64,
}

impl Weight {
    /// An element alone.
    fn of(node: Node<'_, '_>) -> Self {
        let length = |name| node.attribute(name).map_or(0, |value| value.len() as u64);
        let characters = if node.tag_name().name() == "text" {
            letters(node)
        } else {
            0
        };
        Self {
            elements: 1,
            characters,
            points: length("d") + length("points"),
            height: 0,
        }
    }

    /// The same with another that is drawn in it.
    fn with(self, drawn: Self) -> Self {
        Self {
            elements: self.elements.saturating_add(drawn.elements),
            characters: self.characters.saturating_add(drawn.characters),
            points: self.points.saturating_add(drawn.points),
            height: self.height.max(drawn.height),
        }
    }
}

impl Count {
    /// Counts, within the limits of elements and of nesting.
    pub(super) fn of(document: &Document<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let mut count = Self::default();
        let mut ids = HashMap::new();
        for node in document.descendants().filter(Node::is_element) {
            if let Some(id) = node.attribute("id") {
                ids.entry(id).or_insert(node);
            }
            count.look_at(node)?;
        }
        let whole = weigh(document.root_element(), &ids);
        at_most("nesting", whole.height, limits.nesting)?;
        at_most("elements", whole.elements, limits.elements)?;
        (count.elements, count.characters, count.points) = (whole.elements, whole.characters, whole.points);
        Ok(count)
    }

    fn look_at(&mut self, node: Node<'_, '_>) -> Result<(), Refusal> {
        match node.tag_name().name() {
            "image" | "feImage" if embeds(node) => {
                return Err(unsupported("an SVG with an embedded picture is not read"));
            }
            // What lies in a frame of its own is clipped by it.
            "pattern" | "clipPath" | "mask" | "symbol" => self.layered = true,
            "marker" => {
                // Itself among them.
                let elements = node.descendants().filter(Node::is_element).count() as u64;
                self.marker = self.marker.max(elements - 1).max(1);
                self.layered = true;
            }
            "svg" if node.parent_element().is_some() => self.layered = true,
            "filter" => {
                let steps = node.children().filter(Node::is_element).count() as u64;
                self.filter_steps = self.filter_steps.max(steps);
                self.layered = true;
            }
            "text" => at_most("characters", letters(node), MOST_CHARACTERS)?,
            "style" => {
                let sheet = node.text().unwrap_or_default();
                self.layered |= layered(sheet);
                self.mid_markers |= marks_points(sheet);
            }
            _ => {}
        }
        self.mid_markers |= node.attributes().any(|attribute| match attribute.name() {
            "marker" | "marker-mid" => true,
            "style" => marks_points(attribute.value()),
            _ => false,
        });
        self.layered |= node
            .attributes()
            .any(|attribute| layered(attribute.name()) || (attribute.name() == "style" && layered(attribute.value())));
        Ok(())
    }
}

/// Whether a style draws markers at each point: `marker` stands for all three kinds.
fn marks_points(style: &str) -> bool {
    style.contains("marker-mid")
        || style
            .split("marker")
            .skip(1)
            .any(|rest| rest.trim_start().starts_with(':'))
}

/// Bytes of all text in an element.
fn letters(node: Node<'_, '_>) -> u64 {
    let texts = node.descendants().filter(Node::is_text);
    texts.map(|text| text.text().unwrap_or_default().len() as u64).sum()
}

/// Whether `target` is drawn once more for each element that refers to it.
fn is_repeated(node: Node<'_, '_>, target: Node<'_, '_>) -> bool {
    node.tag_name().name() == "use" || matches!(target.tag_name().name(), "pattern" | "mask" | "clipPath")
}

fn layered(text: &str) -> bool {
    LAYERED.iter().any(|word| text.contains(word))
}

fn embeds(node: Node<'_, '_>) -> bool {
    hrefs(node).any(|href| href.trim_start().starts_with("data:"))
}

fn hrefs<'a>(node: Node<'a, '_>) -> impl Iterator<Item = &'a str> {
    node.attributes()
        .filter(|attribute| attribute.name() == "href")
        .map(|attribute| attribute.value())
}

/// The ids that an element refers to, by `href` or by `url(#…)`.
fn references<'a>(node: Node<'a, '_>) -> impl Iterator<Item = &'a str> {
    let by_href = hrefs(node).filter_map(|href| href.trim().strip_prefix('#'));
    let by_url = node.attributes().flat_map(|attribute| {
        let parts = attribute.value().split("url(").skip(1);
        parts.filter_map(|part| {
            let inner = part
                .split(')')
                .next()?
                .trim_matches(|c: char| c.is_ascii_whitespace() || c == '"' || c == '\'');
            inner.strip_prefix('#')
        })
    });
    by_href.chain(by_url)
}

/// The weight of `root`. What leads back to itself counts once: renderers leave it out.
fn weigh<'a, 'input>(root: Node<'a, 'input>, ids: &HashMap<&str, Node<'a, 'input>>) -> Weight {
    let mut known: HashMap<NodeId, Weight> = HashMap::new();
    // Each element twice: when it is met, and when all it needs is known.
    let mut stack = vec![(root, false)];
    while let Some((node, met)) = stack.pop() {
        if met {
            let mut weight = Weight::of(node);
            for child in node.children().filter(Node::is_element) {
                weight = weight.with(known.get(&child.id()).copied().unwrap_or_default());
            }
            for target in references(node).filter_map(|id| ids.get(id)) {
                let drawn = known.get(&target.id()).copied().unwrap_or_default();
                if is_repeated(node, *target) {
                    weight = weight.with(drawn);
                }
                weight.height = weight.height.max(drawn.height);
            }
            weight.height += 1;
            known.insert(node.id(), weight);
            continue;
        }
        if known.contains_key(&node.id()) {
            continue;
        }
        known.insert(node.id(), Weight::default());
        stack.push((node, true));
        stack.extend(node.children().filter(Node::is_element).map(|child| (child, false)));
        stack.extend(
            references(node)
                .filter_map(|id| ids.get(id))
                .map(|target| (*target, false)),
        );
    }
    known.get(&root.id()).copied().unwrap_or_default()
}

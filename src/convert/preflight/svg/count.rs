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
    /// Elements, each as often as `use` repeats it.
    pub(super) elements: u64,
    /// Bytes of what is in text elements.
    pub(super) characters: u64,
    /// Whether there are markers.
    pub(super) marked: bool,
    /// Whether anything is drawn into a layer of its own.
    pub(super) layered: bool,
    /// Steps of the filter that has most.
    pub(super) filter_steps: u64,
}

/// An element and all that is in it or referred to from it.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    elements: u64,
    height: u64,
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
        count.elements = whole.elements;
        Ok(count)
    }

    fn look_at(&mut self, node: Node<'_, '_>) -> Result<(), Refusal> {
        match node.tag_name().name() {
            "image" | "feImage" if embeds(node) => {
                return Err(unsupported("an SVG with an embedded picture is not read"));
            }
            // What lies in a frame of its own is clipped by it.
            "pattern" | "clipPath" | "mask" | "symbol" => self.layered = true,
            "marker" => (self.layered, self.marked) = (true, true),
            "svg" if node.parent_element().is_some() => self.layered = true,
            "filter" => {
                let steps = node.children().filter(Node::is_element).count() as u64;
                self.filter_steps = self.filter_steps.max(steps);
                self.layered = true;
            }
            "text" => {
                let texts = node.descendants().filter(Node::is_text);
                let bytes = texts.map(|text| text.text().unwrap_or_default().len() as u64).sum();
                at_most("characters", bytes, MOST_CHARACTERS)?;
                self.characters += bytes;
            }
            "style" => self.layered |= node.text().is_some_and(layered),
            _ => {}
        }
        self.layered |= node
            .attributes()
            .any(|attribute| layered(attribute.name()) || (attribute.name() == "style" && layered(attribute.value())));
        Ok(())
    }
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

/// The ids that an element refers to, by `href` or by `url(#…)`; and whether it repeats what it refers to.
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
            let mut weight = Weight { elements: 1, height: 0 };
            for child in node.children().filter(Node::is_element) {
                let child = known.get(&child.id()).copied().unwrap_or_default();
                weight.elements = weight.elements.saturating_add(child.elements);
                weight.height = weight.height.max(child.height);
            }
            for target in references(node).filter_map(|id| ids.get(id)) {
                let target = known.get(&target.id()).copied().unwrap_or_default();
                weight.height = weight.height.max(target.height);
                if node.tag_name().name() == "use" {
                    weight.elements = weight.elements.saturating_add(target.elements);
                }
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

//! The form that asks for one decision: why, a button, and what comes of it.

use maud::{Markup, html};

use super::visitor::{Visitor, WHY};

/// One decision that may be made on a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision<'a> {
    /// The path of what it is about; the form goes to `about/action`.
    pub(super) about: &'a str,
    /// Its word.
    pub(super) action: &'a str,
    /// What the button says.
    pub(super) button: &'a str,
    /// What comes of it, in a sentence or two; nothing where the page says it.
    pub(super) comes: &'a str,
    /// Whether whoever decides says why.
    pub(super) why: Why,
}

/// Whether a reason is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It must be given: it is all there is.
    Must,
    /// It may be given.
    May,
    /// There is no field for it.
    NotAsked,
}

impl Decision<'_> {
    /// The form, with fields of its own before the reason.
    pub(super) fn shown(&self, visitor: &Visitor, fields: &Markup) -> Markup {
        html! {
            form .decision method="post" action={ (self.about) "/" (self.action) } {
                input type="hidden" name="csrf" value=(visitor.csrf.shown());
                (fields)
                @if self.why != Why::NotAsked {
                    label for={ "why-" (self.action) } { "Why" }
                    input id={ "why-" (self.action) } name="why" maxlength=(WHY) required[self.why == Why::Must];
                }
                button { (self.button) }
                @if !self.comes.is_empty() {
                    p { (self.comes) }
                }
            }
        }
    }
}

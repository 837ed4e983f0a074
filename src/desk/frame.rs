//! The frame around every page: head, navigation, who is logged in; and pages that only say something.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

use super::visitor::Visitor;

/// Pages of the navigation.
const PAGES: [(&str, &str); 4] = [
    ("/", "Overview"),
    ("/quarantine", "Quarantine"),
    ("/tenants", "Tenants"),
    ("/audit", "Audit"),
];

/// A page for somebody who is logged in.
pub(super) fn page(visitor: &Visitor, path: &str, title: &str, content: &Markup) -> Response {
    let body = html! {
        header {
            p .name { a href="/" { "Lazaret" } }
            nav aria-label="Pages" {
                @for (to, name) in PAGES {
                    a href=(to) aria-current=[(to == path).then_some("page")] { (name) }
                }
            }
            form .leave method="post" action="/logout" {
                input type="hidden" name="csrf" value=(visitor.csrf.shown());
                span { (visitor.who) " (" (visitor.role.word()) ")" }
                button { "Log out" }
            }
        }
        main #content tabindex="-1" {
            h1 { (title) }
            (content)
        }
    };
    document(StatusCode::OK, title, &body)
}

/// A page for anybody.
pub(super) fn bare(status: StatusCode, title: &str, content: &Markup) -> Response {
    let body = html! {
        main #content .narrow tabindex="-1" {
            h1 { (title) }
            (content)
        }
    };
    document(status, title, &body)
}

/// A page with a sentence.
pub(super) fn plain(status: StatusCode, sentence: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Something went wrong");
    bare(
        status,
        title,
        &html! { p { (sentence) } p { a href="/" { "To the overview" } } },
    )
}

/// What is answered to a path that leads nowhere.
pub(super) async fn nothing_here() -> Response {
    plain(StatusCode::NOT_FOUND, "There is no such page.")
}

/// Headings of a table's columns.
pub(super) fn columns(names: &[&str]) -> Markup {
    html! {
        @for name in names { th scope="col" { (name) } }
    }
}

/// A time, as people and programs read it.
pub(super) fn moment(at: DateTime<Utc>) -> Markup {
    let text = at.format("%Y-%m-%d %H:%M:%S").to_string();
    html! { time datetime=(at.to_rfc3339()) { (text) } }
}

fn document(status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Lazaret" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a .skip href="#content" { "Skip to content" }
                (body)
            }
        }
    };
    (
        status,
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        page.into_string(),
    )
        .into_response()
}

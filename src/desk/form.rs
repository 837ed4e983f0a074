//! A form's fields, if it was sent by a page of ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use url::form_urlencoded;

use super::{Desk, frame};

/// Fields by name, each with all its values.
pub(super) struct Form(BTreeMap<String, Vec<String>>);

impl Form {
    /// A field; empty where it was not sent; of one that was sent twice, the first.
    pub(super) fn field(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// All values of a field, such as boxes that were ticked.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    pub(super) fn of(body: &[u8]) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            fields.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Self(fields)
    }
}

impl FromRequest<Arc<Desk>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, desk: &Arc<Desk>) -> Result<Self, Response> {
        if !is_same_origin(request.headers()) {
            return Err(frame::plain(
                StatusCode::FORBIDDEN,
                "This form was sent by a page of somebody else's. Open the desk's own page and try again.",
            ));
        }
        let body = Bytes::from_request(request, desk)
            .await
            .map_err(|_| frame::plain(StatusCode::PAYLOAD_TOO_LARGE, "The form is too long."))?;
        Ok(Self::of(&body))
    }
}

/// Whether a browser sends this from a page of the same origin, as far as it says.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = match (text(header::ORIGIN.as_str()), text(header::HOST.as_str())) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, of)| of == host),
        (Some(_), None) => false,
        (None, _) => true,
    };
    site && origin
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn fields_are_decoded_and_the_first_of_two_counts() {
        let form = Form::of(b"a=1&a=2&b=%3Cscript%3E+x&c&%ff=%ff");
        assert_eq!(
            (form.field("a"), form.field("b"), form.field("c")),
            ("1", "<script> x", "")
        );
        assert_eq!(form.field("d"), "");
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(form.all("d").count(), 0);
    }

    #[test]
    fn forms_of_other_origins_are_told_apart() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair =
                |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), value.parse().unwrap());
            pairs.iter().map(pair).collect()
        };
        let host = ("host", "127.0.0.1:8017");
        for good in [
            &[host][..],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ("origin", "http://127.0.0.1:8017")],
        ] {
            assert!(is_same_origin(&headers(good)), "{good:?}");
        }
        for bad in [
            &[host, ("sec-fetch-site", "cross-site")][..],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("origin", "http://evil.example")],
            &[host, ("origin", "http://127.0.0.1:8018")],
            &[host, ("origin", "null")],
            &[("origin", "http://127.0.0.1:8017")],
        ] {
            assert!(!is_same_origin(&headers(bad)), "{bad:?}");
        }
    }
}

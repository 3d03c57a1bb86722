//! What a body is called, who gave it that name, and what is asked with it.
//!
//! Validators belong to the place that gave them, after redirects: only there they are shown, and only from there "not
//! modified" means anything. A redirect that leads elsewhere the next time leads to somebody who never had them.

use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{RequestBuilder, Url};

use crate::config::shown_url;
use crate::feed::fetch::Ask;
use crate::feed::secret::Masks;
use crate::store::Validators;

/// Longest validator that is remembered.
const LONGEST: usize = 1024;

/// What is known of the body at this place: only then "not modified" means anything.
pub(super) fn known_at<'a>(ask: &Ask<'a>, masks: &Masks, at: &Url) -> Option<&'a Validators> {
    let known = ask.validators.filter(|known| known.etag.is_some() || known.last_modified.is_some())?;
    let is_its = match &known.from {
        None => at == ask.url,
        Some(from) => place(masks, at) == *from,
    };
    is_its.then_some(known)
}

/// Asks for what is newer than that.
pub(super) fn newer_than(mut request: RequestBuilder, known: &Validators) -> RequestBuilder {
    if let Some(etag) = &known.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(date) = &known.last_modified {
        request = request.header(IF_MODIFIED_SINCE, date);
    }
    request
}

/// What the body at `at` is called. What holds something that was shown to get the list is not remembered: it would be told.
pub(super) fn validators(ask: &Ask<'_>, masks: &Masks, at: &Url, headers: &HeaderMap) -> Validators {
    let text = |name: HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= LONGEST && masks.masked(value) == value).then(|| value.to_owned())
    };
    Validators {
        url: shown_url(ask.url),
        from: (at != ask.url).then(|| place(masks, at)),
        etag: text(ETAG),
        last_modified: text(LAST_MODIFIED),
    }
}

/// Where a redirect led, without what is for that one request.
fn place(masks: &Masks, at: &Url) -> String {
    let mut at = at.clone();
    at.set_query(None);
    at.set_fragment(None);
    masks.masked(at.as_str())
}

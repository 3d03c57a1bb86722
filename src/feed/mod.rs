//! Getting lists: which feeds there are, when each is due, and the download itself.
//!
//! [`catalogue`] knows the feeds, [`schedule`] when one may be asked again, [`fetch`] asks, and [`decode`](mod@decode)
//! opens what came; [`files`] are the operator's own, [`secret`] what only he knows. A body is only ever a file here: what is in it is `parse`'s and `guard`'s business. Never: reading
//! entries, deciding whether they are good, writing to the store other than into the file it was given.

pub mod catalogue;
pub mod decode;
pub mod fetch;
pub mod files;
pub mod schedule;
pub mod secret;

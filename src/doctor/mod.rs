//! What stands between a listing and a mail that is rejected: how resolvers hide answers, how mail programs are told to ask, and the lines that
//! cure it.
//!
//! Of a resolver `trap` says what its replies mean, `told` how that is put into words, `cure` what sets it right, and `lines`, `filters`,
//! `keeps`, `expired` and `unbound_forwards` which of an administrator's own lines do it; `mail` reads what mail programs have in effect
//! and says what is wrong with it. What is judged is apart from what is read, and every line of a cure is one that [`crate::snippet`] prints.
//! Read [`finding::Check`]. Never: changing anything, the store, or the order in which a host is looked at, which is the command's.

pub(crate) mod below;
pub(crate) mod c_library;
pub(crate) mod child;
pub(crate) mod cure;
pub(crate) mod expired;
pub(crate) mod files;
pub(crate) mod filters;
pub(crate) mod finding;
pub(crate) mod keeps;
pub(crate) mod lines;
pub(crate) mod mail;
pub(crate) mod mynetworks;
pub(crate) mod resolv_conf;
pub(crate) mod sample;
pub(crate) mod told;
pub(crate) mod trap;
pub(crate) mod unbound_forwards;
pub(crate) mod who;

//! What a resolver or a mail program is told so that it asks gatepost: the texts, from what is configured.
//!
//! [`Wiring`] says what there is to tell, a file for each program writes it down. Every mail program's
//! text takes real codes alone for a listing, so that neither a test point nor an error code rejects mail; every
//! resolver's text opens what stands between a resolver and answers in 127.0.0.0/8 from an unsigned zone. Read [`Program::text`]. Never: files,
//! sockets, or what a program was told already.

pub(crate) mod bind;
mod codes;
pub(crate) mod dnsdist;
pub(crate) mod dnsmasq;
pub(crate) mod exim;
mod haraka;
mod knot_resolver;
pub(crate) mod localhost;
mod opensmtpd;
mod pdns_recursor;
pub(crate) mod postfix;
pub(crate) mod postscreen;
mod reverse;
pub(crate) mod rspamd;
mod sendmail;
pub(crate) mod spamassassin;
mod systemd_resolved;
pub(crate) mod text;
pub(crate) mod unbound;
pub(crate) mod wiring;

use wiring::Wiring;

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Program {
    Postfix,
    Postscreen,
    Exim,
    Rspamd,
    Spamassassin,
    Haraka,
    Opensmtpd,
    Sendmail,
    Unbound,
    Bind,
    Dnsmasq,
    PdnsRecursor,
    Dnsdist,
    KnotResolver,
    SystemdResolved,
}

/// Why a program is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoUse {
    #[error(
        "no zone is for mail programs: what is served lists addresses that no mail can come from; `gatepost feeds` shows block lists"
    )]
    NothingServed,
    #[error(
        "it can use none of the zones: it asks for addresses alone, and cannot weigh answers or tell them apart"
    )]
    OfAddressesAlone,
}

impl Program {
    /// What it is told. A mail program that has no zone to ask is an error.
    pub(crate) fn text(self, wiring: &Wiring) -> Result<String, NoUse> {
        if !self.is_resolver() && wiring.zones.is_empty() {
            return Err(NoUse::NothingServed);
        }
        Ok(match self {
            Self::Postfix => postfix::text(wiring),
            Self::Postscreen => postscreen::text(wiring),
            Self::Exim => exim::text(wiring),
            Self::Rspamd => rspamd::text(wiring),
            Self::Spamassassin => spamassassin::text(wiring),
            Self::Haraka => haraka::text(wiring).ok_or(NoUse::OfAddressesAlone)?,
            Self::Opensmtpd => opensmtpd::text(wiring).ok_or(NoUse::OfAddressesAlone)?,
            Self::Sendmail => sendmail::text(wiring),
            Self::Unbound => unbound::text(wiring),
            Self::Bind => bind::text(wiring),
            Self::Dnsmasq => dnsmasq::text(wiring),
            Self::PdnsRecursor => pdns_recursor::text(wiring),
            Self::Dnsdist => dnsdist::text(wiring),
            Self::KnotResolver => knot_resolver::text(wiring),
            Self::SystemdResolved => systemd_resolved::text(wiring),
        })
    }

    pub(crate) fn is_resolver(self) -> bool {
        matches!(
            self,
            Self::Unbound
                | Self::Bind
                | Self::Dnsmasq
                | Self::PdnsRecursor
                | Self::Dnsdist
                | Self::KnotResolver
                | Self::SystemdResolved
        )
    }
}

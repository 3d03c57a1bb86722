//! What a form cannot hold, counted.

use std::collections::BTreeMap;
use std::fmt;

/// What was left out, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Losses(BTreeMap<Loss, u64>);

/// Something that a snapshot holds and a form cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// rbldnsd: an answer whose text no line can hold. The answer stands without it.
    Text,
    /// rbldnsd: an answer with so many texts that some would be counted instead when the file is read.
    Texts,
    /// rbldnsd: 0 stands for the default of the server.
    ZeroTtl,
    /// rbldnsd: records of an answer for addresses or for names below a name that are not A and TXT.
    Records,
    /// rbldnsd: a record of a name that no line of generic can hold.
    Record,
    /// rbldnsd: a record that gatepost reads and rbldnsd does not.
    GatepostAlone,
    /// rbldnsd: what is said of every name below the origin.
    BelowOrigin,
    /// rbldnsd: name servers beyond those that a line may have.
    NameServers,
    /// rbldnsd: values beyond the sections that a file may have.
    Sections,
    /// Plain lists: a name that is not listed below one that is listed with all below it. It is listed there.
    Exclusions,
    /// Plain lists: a name that the format cannot hold.
    Names,
    /// Master files: texts of a wildcard that name the address, of which there are many. They name the prefix.
    Wildcards,
    /// Master files: records that would change what others at their name mean (NS below the origin, CNAME beside others).
    Apart,
    /// Master files: names in which `*` is no wildcard.
    Asterisks,
    /// Master files: names and wildcards among the names of addresses.
    Mixed,
    /// A bitmap: prefixes and addresses of IPv6.
    V6,
    /// A bitmap: names.
    AllNames,
}

impl Losses {
    pub(super) fn add(&mut self, loss: Loss, number: u64) {
        if number > 0 {
            *self.0.entry(loss).or_default() += number;
        }
    }

    /// Each kind that occurred, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        self.0.iter().map(|(&loss, &number)| (loss, number))
    }

    /// Everything was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Loss {
    /// What follows the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => {
                "answers have a text that no line can hold (a blank at its end, a line end, more than 255 octets, \
                 a digit, `$` or `=` right behind the address): they stand without it"
            }
            Self::Texts => "answers have more texts than fit 512 octets: whoever reads the file will leave some out",
            Self::ZeroTtl => "answers have a TTL of 0, which stands for the server's default",
            Self::Records => "answers for addresses or wildcards have other records than A and TXT: those were left out",
            Self::Record => "records that no line can hold were left out",
            Self::GatepostAlone => {
                "records are read by gatepost alone (AAAA, CNAME, NS, TXT of several strings)"
            }
            Self::BelowOrigin => "answer for every name below the origin was left out: no line can say it",
            Self::NameServers => "name servers were left out: a line has 32",
            Self::Sections => "answers have more values than a file may have sections: some were left out",
            Self::Exclusions => {
                "names that are not listed lie below listed wildcards: here they are listed like their neighbours"
            }
            Self::Names => "names that such a list cannot hold were left out",
            Self::Wildcards => "texts of wildcards that name the address name the prefix instead",
            Self::Apart => {
                "records were left out that would hide others in a zone file (NS below the origin, CNAME beside others)"
            }
            Self::Asterisks => "names were left out in which `*` is a letter: in a zone file it is a wildcard",
            Self::Mixed => "names were left out that lie among those of addresses and are none",
            Self::V6 => "IPv6 spans were left out: a bitmap of this kind holds IPv4 addresses",
            Self::AllNames => "names were left out: a bitmap of this kind holds IPv4 addresses",
        })
    }
}

//! Messages in the words of the scenario files: octets → lines, question → octets. A decoder of its own, so that what a
//! server sends is not read by the code that wrote it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the lines of a reply begin with, in the order in which they are written.
pub(crate) const FIELDS: [&str; 6] = ["reply", "question", "answer", "authority", "additional", "edns"];

/// A reply: the lines of each field, sorted. A field without lines is not there.
pub(crate) type Lines = BTreeMap<&'static str, Vec<String>>;

const TYPES: [(u16, &str); 27] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (10, "NULL"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (41, "OPT"),
    (43, "DS"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];
const CLASSES: [(u16, &str); 5] = [(1, "IN"), (3, "CH"), (4, "HS"), (254, "NONE"), (255, "ANY")];
const RCODES: [(u16, &str); 9] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (9, "NOTAUTH"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];
const OPCODES: [(u16, &str); 6] =
    [(0, "QUERY"), (1, "IQUERY"), (2, "STATUS"), (4, "NOTIFY"), (5, "UPDATE"), (6, "DSO")];
/// The client's cookie where one is sent back.
const CLIENT: &[u8] = b"clientck";
/// Bits of the second word of the header.
const FLAGS: [(u16, &str); 8] = [
    (0x8000, "qr"),
    (0x0400, "aa"),
    (0x0200, "tc"),
    (0x0100, "rd"),
    (0x0080, "ra"),
    (0x0040, "z"),
    (0x0020, "ad"),
    (0x0010, "cd"),
];

fn word(table: &[(u16, &str)], code: u16, other: &str) -> String {
    let known = table.iter().find(|(number, _)| *number == code);
    known.map_or_else(|| format!("{other}{code}"), |(_, word)| (*word).to_owned())
}

fn code(table: &[(u16, &str)], text: &str, other: &str) -> Option<u16> {
    let known = table.iter().find(|(_, word)| *word == text);
    known.map(|(number, _)| *number).or_else(|| text.strip_prefix(other)?.parse().ok())
}

/// Octets that are asked for, and the line of the question that a reply repeats.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) octets: Vec<u8>,
    pub(crate) question: Option<String>,
    /// What is to be asked first, for the cookie that goes where the octets have the client's.
    pub(crate) first: Option<Vec<u8>>,
}

/// `NAME [CLASS] TYPE` and words: flags of the header, `opcode=`, `rcode=`; `edns`, `size=`, `version=`, `do`, `flags=`,
/// `opt=CODE:HEX`, `cookie=HEX`.
pub(crate) fn ask(text: &str) -> Result<Asked, String> {
    let mut words = text.split_whitespace().peekable();
    let owner = words.next().ok_or("no name")?;
    let class = words.peek().and_then(|text| code(&CLASSES[..4], text, "CLASS"));
    let class = class.inspect(|_| _ = words.next()).unwrap_or(1);
    let qtype = words.next().ok_or("no type")?;
    let qtype = code(&TYPES, qtype, "TYPE").ok_or_else(|| format!("type {qtype}"))?;
    let (mut header, mut options, mut opt) = (0u16, Vec::new(), None::<[u16; 3]>);
    for text in words {
        if let Some((bit, _)) = FLAGS.iter().find(|(_, word)| *word == text) {
            header |= bit;
            continue;
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let number = || value.parse::<u16>().map_err(|_| format!("`{text}`"));
        match key {
            "opcode" => header |= code(&OPCODES, value, "").ok_or_else(|| text.to_owned())? << 11,
            "rcode" => header |= number()?,
            _ => {
                let [size, version, flags] = opt.get_or_insert([1232, 0, 0]);
                match key {
                    "edns" => {}
                    "size" => *size = number()?,
                    "version" => *version = number()?,
                    "do" => *flags |= 0x8000,
                    "flags" => *flags |= u16::from_str_radix(value, 16).map_err(|_| format!("`{text}`"))?,
                    "cookie" | "opt" => {
                        let (option, value) = value.split_once(':').unwrap_or(("10", value));
                        options.push((option.parse().map_err(|_| format!("`{text}`"))?, hex(value)?));
                    }
                    _ => return Err(format!("what is `{text}`?")),
                }
            }
        }
    }
    let question = [labels(owner)?, vec![0], qtype.to_be_bytes().into(), class.to_be_bytes().into()].concat();
    let packet = |options: &[(u16, Vec<u8>)]| {
        let mut octets = vec![0x12, 0x34];
        octets.extend(header.to_be_bytes());
        octets.extend([0, 1, 0, 0, 0, 0, 0, u8::from(opt.is_some())]);
        octets.extend(&question);
        if let Some([size, version, flags]) = opt {
            octets.extend([0, 0, 41]);
            octets.extend(size.to_be_bytes());
            octets.extend([0, version as u8]);
            octets.extend(flags.to_be_bytes());
            octets
                .extend((options.iter().map(|(_, data)| 4 + data.len()).sum::<usize>() as u16).to_be_bytes());
            for (option, data) in options {
                octets.extend(option.to_be_bytes());
                octets.extend((data.len() as u16).to_be_bytes());
                octets.extend(data);
            }
        }
        octets
    };
    let is_given = options.iter().any(|(_, data)| *data == [CLIENT, &[0; 16]].concat());
    let first = is_given.then(|| packet(&[(10, CLIENT.to_vec())]));
    let question = format!("{owner} {} {}", word(&CLASSES, class, "CLASS"), word(&TYPES, qtype, "TYPE"));
    Ok(Asked { octets: packet(&options), question: Some(question), first })
}

/// Octets: hexadecimal digits, `"text"`, `name(x.example.)` with the root's octet, `labels(x.example.)` without it, `opt` for
/// an OPT record without options.
pub(crate) fn send(text: &str) -> Result<Asked, String> {
    let mut octets = Vec::new();
    for token in text.split_whitespace() {
        let inside = |start: &str, end: char| token.strip_prefix(start)?.strip_suffix(end);
        if token == "opt" {
            octets.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        } else if let Some(text) = inside("\"", '"') {
            octets.extend(text.bytes());
        } else if let Some(owner) = inside("labels(", ')') {
            octets.extend(labels(owner)?);
        } else if let Some(owner) = inside("name(", ')') {
            octets.extend(labels(owner)?);
            octets.push(0);
        } else {
            octets.extend(hex(token)?);
        }
    }
    Ok(Asked { octets, question: None, first: None })
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect::<Option<_>>().ok_or_else(|| format!("`{text}` is not hexadecimal"))
}

/// The labels of a name, which ends in a dot; `\DDD` stands for an octet, `\` before another character for itself.
fn labels(text: &str) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    let mut label = Vec::new();
    let mut rest = text.strip_suffix('.').ok_or_else(|| format!("`{text}` does not end in a dot"))?.bytes();
    let mut close = |label: &mut Vec<u8>| {
        wire.push(label.len() as u8);
        wire.append(label);
    };
    if rest.len() == 0 {
        return Ok(wire);
    }
    while let Some(octet) = rest.next() {
        match octet {
            b'.' => close(&mut label),
            b'\\' => {
                let next = rest.next().ok_or("a `\\` at the end")?;
                if !next.is_ascii_digit() {
                    label.push(next);
                    continue;
                }
                let digits = [next, rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
                let number = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
                label.push(number.ok_or_else(|| format!("`{text}`: not three digits"))?);
            }
            octet => label.push(octet),
        }
    }
    close(&mut label);
    Ok(wire)
}

/// The octets of a reply to `asked` → its lines; why not, when they are no message.
pub(crate) fn read(octets: &[u8], asked: &[u8]) -> Result<Lines, String> {
    let mut reader = Reader { octets, at: 0 };
    let [id, bits, questions, counts @ ..] = reader.words::<6>()?;
    if asked.get(..2) != Some(&id.to_be_bytes()) {
        return Err("another id".to_owned());
    }
    let mut lines = Lines::new();
    let mut push = |field, line| lines.entry(field).or_default().push(line);
    let mut rcode = bits & 15;
    for _ in 0..questions {
        let owner = reader.name()?;
        let [qtype, class] = reader.words()?;
        push(
            "question",
            format!("{owner} {} {}", word(&CLASSES, class, "CLASS"), word(&TYPES, qtype, "TYPE")),
        );
    }
    for (field, count) in FIELDS[2..5].iter().zip(counts) {
        for _ in 0..count {
            let owner = reader.name()?.to_ascii_lowercase();
            let [rtype, class, high, low, len] = reader.words()?;
            let end = reader.at + usize::from(len);
            if rtype == 41 && *field == "additional" {
                rcode |= high >> 8 << 4;
                push("edns", reader.opt(&owner, class, [high, low], end)?);
                continue;
            }
            let ttl = u32::from(high) << 16 | u32::from(low);
            let data = reader.data(rtype, end)?;
            if reader.at != end {
                return Err(format!("data of {owner} end at {} and not at {end}", reader.at));
            }
            let class = word(&CLASSES, class, "CLASS");
            push(field, format!("{owner} {ttl} {class} {} {data}", word(&TYPES, rtype, "TYPE")));
        }
    }
    if reader.at != octets.len() {
        return Err(format!("{} octets behind the message", octets.len() - reader.at));
    }
    let mut reply = word(&RCODES, rcode, "RCODE");
    let opcode = bits >> 11 & 15;
    if opcode != 0 {
        let _ = write!(reply, " opcode={}", word(&OPCODES, opcode, ""));
    }
    for (bit, flag) in FLAGS {
        if bits & bit != 0 {
            let _ = write!(reply, " {flag}");
        }
    }
    push("reply", reply);
    lines.values_mut().for_each(|lines| lines.sort());
    Ok(lines)
}

/// What is no message, and why.
pub(crate) fn malformed(why: String) -> Lines {
    Lines::from([("reply", vec![format!("malformed: {why}")])])
}

struct Reader<'o> {
    octets: &'o [u8],
    at: usize,
}

impl<'o> Reader<'o> {
    fn take(&mut self, len: usize) -> Result<&'o [u8], String> {
        let taken = self.octets.get(self.at..self.at + len).ok_or("it is cut")?;
        self.at += len;
        Ok(taken)
    }

    fn words<const N: usize>(&mut self) -> Result<[u16; N], String> {
        let octets = self.take(2 * N)?;
        Ok(std::array::from_fn(|at| u16::from_be_bytes([octets[2 * at], octets[2 * at + 1]])))
    }

    /// A name that may end in pointers, each to a place before the last.
    fn name(&mut self) -> Result<String, String> {
        let (mut at, mut end, mut before) = (self.at, None, self.at);
        let mut text = String::new();
        loop {
            let len = *self.octets.get(at).ok_or("it is cut in a name")?;
            at += 1;
            match len {
                0 => break,
                1..=63 => {
                    let label = self.octets.get(at..at + usize::from(len)).ok_or("it is cut in a label")?;
                    label.iter().for_each(|&octet| match octet {
                        b'.' | b'\\' => text.extend(['\\', octet.into()]),
                        0x21..=0x7e => text.push(octet.into()),
                        _ => _ = write!(text, "\\{octet:03}"),
                    });
                    text.push('.');
                    at += label.len();
                }
                0xc0.. => {
                    let low = *self.octets.get(at).ok_or("it is cut in a pointer")?;
                    end.get_or_insert(at + 1);
                    at = usize::from(len & 0x3f) << 8 | usize::from(low);
                    if at >= before {
                        return Err("a pointer that leads forward".to_owned());
                    }
                    before = at;
                }
                _ => return Err("an odd label".to_owned()),
            }
        }
        self.at = end.unwrap_or(at);
        if text.is_empty() {
            text.push('.');
        }
        Ok(text)
    }

    fn data(&mut self, rtype: u16, end: usize) -> Result<String, String> {
        Ok(match rtype {
            1 => {
                let &[a, b, c, d] = self.take(4)? else { unreachable!("four are taken") };
                format!("{a}.{b}.{c}.{d}")
            }
            2 => self.name()?.to_ascii_lowercase(),
            6 => {
                let names = [self.name()?, self.name()?].map(|name| name.to_ascii_lowercase());
                let numbers = self.words::<10>()?;
                let numbers = numbers.chunks(2).map(|pair| u32::from(pair[0]) << 16 | u32::from(pair[1]));
                let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
                format!("{} {}", names.join(" "), numbers.join(" "))
            }
            15 => {
                let [preference] = self.words()?;
                format!("{preference} {}", self.name()?.to_ascii_lowercase())
            }
            16 => {
                let mut strings = Vec::new();
                while self.at < end {
                    let len = self.take(1)?[0];
                    strings.push(format!("\"{}\"", self.take(len.into())?.escape_ascii()));
                }
                strings.join(" ")
            }
            _ => {
                let data = self.take(end.checked_sub(self.at).ok_or("data of less than nothing")?)?;
                let octets: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
                format!("\\# {} {octets}", data.len()).trim_end().to_owned()
            }
        })
    }

    /// An OPT record: the size, and what is not as it always is.
    fn opt(&mut self, owner: &str, size: u16, [high, flags]: [u16; 2], end: usize) -> Result<String, String> {
        let mut line = format!("size={size}");
        let mut add = |text: String| line.extend([" ", &text]);
        if owner != "." {
            add(format!("owner={owner}"));
        }
        if high & 0xff != 0 {
            add(format!("version={}", high & 0xff));
        }
        if flags & 0x8000 != 0 {
            add("do".to_owned());
        }
        if flags & 0x7fff != 0 {
            add(format!("flags={:04x}", flags & 0x7fff));
        }
        while self.at < end {
            let [option, len] = self.words()?;
            let data = self.take(len.into())?;
            let octets: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
            add(match (option, data) {
                // What a server makes of it differs from run to run.
                (10, data) if data.len() == 24 && data.starts_with(CLIENT) => "cookie=client+16".to_owned(),
                (10, data) if data.len() == 24 => format!("cookie={}+16", &octets[..16]),
                (15, [high, low]) => format!("ede={}", u16::from_be_bytes([*high, *low])),
                (15, [high, low, text @ ..]) => {
                    let text = String::from_utf8_lossy(text).replace(char::is_whitespace, "_");
                    format!("ede={}:{text}", u16::from_be_bytes([*high, *low]))
                }
                _ => format!("opt={option}:{octets}"),
            });
        }
        Ok(line)
    }
}

/// The octets with the cookie that the reply to `first` gives; as they are when it gives none.
pub(crate) fn with_cookie(octets: &[u8], reply: &[u8]) -> Vec<u8> {
    let place = |octets: &[u8]| octets.windows(8).rposition(|window| window == CLIENT);
    let mut octets = octets.to_vec();
    if let Some(from) = place(reply)
        && let Some(to) = place(&octets)
        && let Some(given) = reply.get(from..from + 24)
    {
        octets[to..to + 24].copy_from_slice(given);
    }
    octets
}

//! rspamd's configuration as rspamd puts it together (UCL): files that are included, merged, appended or put before others, each setting with
//! the place where it stands. Pure.
//!
//! Of a key that is set twice at the same priority both values are kept, as UCL does: what that means is the reader's to know.

/// Where its files are.
pub(in super::super) const FOLDER: &str = "/etc/rspamd";

/// How files come together: those of rspamd's own that have to do with lists, and what an administrator writes beside them.
const MAIN: &str = r#"
options {
  .include "$CONFDIR/options.inc"
  .include(priority=1,duplicate=merge) "$CONFDIR/local.d/options.inc"
  .include(priority=10) "$CONFDIR/override.d/options.inc"
}
worker "rspamd_proxy" {
  bind_socket = "localhost:11332";
  .include "$CONFDIR/worker-proxy.inc"
  .include(priority=1,duplicate=merge) "$CONFDIR/local.d/worker-proxy.inc"
  .include(priority=10) "$CONFDIR/override.d/worker-proxy.inc"
}
worker "normal" {
  bind_socket = "localhost:11333";
  .include "$CONFDIR/worker-normal.inc"
  .include(priority=1,duplicate=merge) "$CONFDIR/local.d/worker-normal.inc"
  .include(priority=10) "$CONFDIR/override.d/worker-normal.inc"
}
.include "$CONFDIR/actions.conf"
.include "$CONFDIR/groups.conf"
.include "$CONFDIR/modules.d/force_actions.conf"
.include "$CONFDIR/modules.d/rbl.conf"
.include "$CONFDIR/rspamd.conf.local"
.include(priority=10) "$CONFDIR/rspamd.conf.local.override"
.include(priority=10) "$CONFDIR/rspamd.conf.override"
"#;

/// What its own files say of that where they are not there.
const COMES_AS: [(&str, &str); 4] = [
    (
        "/actions.conf",
        "actions {\n  reject = 15;\n  .include(priority=1,duplicate=merge) \"$CONFDIR/local.d/actions.conf\"\n\
         .include(priority=10) \"$CONFDIR/override.d/actions.conf\"\n}\n",
    ),
    (
        "/groups.conf",
        "group \"rbl\" {\n  .include(priority=1,duplicate=merge) \"$CONFDIR/local.d/rbl_group.conf\"\n\
         .include(priority=10) \"$CONFDIR/override.d/rbl_group.conf\"\n}\n\
         .include(priority=1,duplicate=merge) \"$CONFDIR/local.d/groups.conf\"\n\
         .include(priority=10) \"$CONFDIR/override.d/groups.conf\"\n",
    ),
    (
        "/modules.d/force_actions.conf",
        "force_actions {\n  .include(priority=1,duplicate=merge) \"$CONFDIR/local.d/force_actions.conf\"\n\
         .include(priority=10) \"$CONFDIR/override.d/force_actions.conf\"\n}\n",
    ),
    (
        "/modules.d/rbl.conf",
        "rbl {\n  .include(priority=1,duplicate=merge) \"$CONFDIR/local.d/rbl.conf\"\n\
         .include(priority=10) \"$CONFDIR/override.d/rbl.conf\"\n}\n",
    ),
];

/// Files within files.
const DEPTH: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Value {
    Text(String),
    List(Vec<Node>),
    Block(Block),
}

/// A value, and where it is set: `FILE:LINE`.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Node {
    pub(in super::super) value: Value,
    pub(in super::super) at: String,
    priority: u8,
}

/// What stands between braces: keys, each with all its values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Block(pub(in super::super) Vec<(String, Vec<Node>)>);

impl Node {
    pub(in super::super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in super::super) fn block(&self) -> Option<&Block> {
        match &self.value {
            Value::Block(block) => Some(block),
            _ => None,
        }
    }
}

impl Block {
    pub(in super::super) fn all(&self, key: &str) -> &[Node] {
        self.0.iter().find(|(name, _)| name == key).map_or(&[], |(_, nodes)| nodes)
    }

    /// Its one value; nothing where it has none, or several.
    pub(in super::super) fn one(&self, key: &str) -> Option<&Node> {
        match self.all(key) {
            [node] => Some(node),
            _ => None,
        }
    }

    /// The texts of a list, or of several values.
    pub(in super::super) fn texts(&self, key: &str) -> Vec<&str> {
        let each = self.all(key).iter().flat_map(|node| match &node.value {
            Value::List(list) => list.iter().filter_map(Node::text).collect(),
            _ => Vec::from_iter(node.text()),
        });
        each.collect()
    }

    /// Of blocks that stand side by side each key as the last of them that has it says, which is how rspamd's modules look at them.
    pub(in super::super) fn beside(&self, key: &str) -> Self {
        let mut whole = Self::default();
        for block in self.all(key).iter().filter_map(Node::block) {
            for (name, nodes) in &block.0 {
                whole.0.retain(|(known, _)| known != name);
                whole.0.push((name.clone(), nodes.clone()));
            }
        }
        whole
    }

    fn add(&mut self, key: &str, node: Node, merges: bool) {
        let Some((_, nodes)) = self.0.iter_mut().find(|(name, _)| name == key) else {
            self.0.push((key.to_owned(), vec![node]));
            return;
        };
        let head = &mut nodes[0];
        match (&mut head.value, node.value) {
            (Value::Block(there), Value::Block(new)) if merges => {
                for (key, nodes) in new.0 {
                    nodes.into_iter().for_each(|node| there.add(&key, node, merges));
                }
            }
            (Value::List(there), Value::List(new)) if merges => there.extend(new),
            (_, value) => {
                let node = Node { value, ..node };
                match head.priority.cmp(&node.priority) {
                    std::cmp::Ordering::Less => *nodes = vec![node],
                    std::cmp::Ordering::Equal => nodes.push(node),
                    std::cmp::Ordering::Greater => {}
                }
            }
        }
    }
}

/// The whole configuration. `read` gives a file's text.
pub(in super::super) fn tree(read: &dyn Fn(&str) -> Option<String>) -> Block {
    let mut reader = Reader {
        read,
        text: MAIN.chars().collect(),
        at: 0,
        line: 1,
        place: String::new(),
        priority: 0,
        merges: false,
        depth: 0,
    };
    let mut whole = Block::default();
    reader.read_into(&mut whole);
    whole
}

/// One file, as it is read.
struct Reader<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    text: Vec<char>,
    at: usize,
    line: usize,
    place: String,
    priority: u8,
    merges: bool,
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = *self.text.get(self.at)?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn starts(&self, with: &str) -> bool {
        with.chars().enumerate().all(|(at, c)| self.text.get(self.at + at) == Some(&c))
    }

    /// Blanks, comments and what `more` has.
    fn skip(&mut self, more: &str) {
        while let Some(c) = self.peek() {
            if c == '#' {
                self.until(&['\n']);
            } else if self.starts("/*") {
                while self.peek().is_some() && !self.starts("*/") {
                    self.next();
                }
                self.next();
                self.next();
            } else if c.is_whitespace() || more.contains(c) {
                self.next();
            } else {
                break;
            }
        }
    }

    fn until(&mut self, ends: &[char]) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| !ends.contains(c)) {
            text.push(c);
            self.next();
        }
        text
    }

    fn quoted(&mut self) -> String {
        let mut text = String::new();
        self.next();
        while let Some(c) = self.next().filter(|c| *c != '"') {
            match c {
                '\\' => text.extend(self.next()),
                c => text.push(c),
            }
        }
        text
    }

    /// Up to the brace that closes it, or the end.
    fn read_into(&mut self, block: &mut Block) {
        loop {
            self.skip(";,");
            match self.peek() {
                None => return,
                Some('}') => {
                    self.next();
                    return;
                }
                Some('.') => self.macro_in(block),
                Some(_) => {
                    let before = self.at;
                    let (key, node) = self.setting();
                    block.add(&key, node, self.merges);
                    // What cannot be read is passed over.
                    if self.at == before {
                        self.next();
                    }
                }
            }
        }
    }

    fn setting(&mut self) -> (String, Node) {
        let line = self.line;
        let key = match self.peek() {
            Some('"') => self.quoted(),
            _ => self.until(&[' ', '\t', '\n', '=', ':', '{', '}', '[', ';', ',']),
        };
        self.skip("");
        let is_set = matches!(self.peek(), Some('=' | ':'));
        if is_set {
            self.next();
            self.skip("");
        }
        // `group "name" {` is `group { name {`.
        if !is_set && !matches!(self.peek(), Some('{' | '[')) && self.is_named() {
            let (name, node) = self.setting();
            let inner = Block(vec![(name, vec![node])]);
            return (key, self.node(Value::Block(inner), line));
        }
        let value = self.value();
        (key, self.node(value, line))
    }

    /// Whether a block is opened before the statement ends.
    fn is_named(&self) -> bool {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|c| matches!(c, '\n' | ';' | '}' | '='));
        rest[..end.unwrap_or(rest.len())].contains(&'{')
    }

    fn node(&self, value: Value, line: usize) -> Node {
        Node { value, at: format!("{}:{line}", self.place), priority: self.priority }
    }

    fn value(&mut self) -> Value {
        match self.peek() {
            Some('{') => {
                self.next();
                let mut block = Block::default();
                self.read_into(&mut block);
                Value::Block(block)
            }
            Some('[') => {
                self.next();
                let mut list = Vec::new();
                loop {
                    self.skip(",;");
                    let line = self.line;
                    match self.peek() {
                        None => return Value::List(list),
                        Some(']') => {
                            self.next();
                            return Value::List(list);
                        }
                        Some(_) => {
                            let before = self.at;
                            let value = self.value();
                            list.push(self.node(value, line));
                            if self.at == before {
                                self.next();
                            }
                        }
                    }
                }
            }
            Some('"') => Value::Text(self.quoted()),
            _ if self.starts("<<") => {
                let end = self.until(&['\n']);
                let end = end.trim_start_matches('<').trim().to_owned();
                let mut text = String::new();
                while self.peek().is_some() {
                    self.next();
                    let line = self.until(&['\n']);
                    if line.trim() == end {
                        break;
                    }
                    text.push_str(&line);
                    text.push('\n');
                }
                Value::Text(text)
            }
            _ => {
                let text = self.until(&[';', ',', '\n', '}', ']', '#']);
                Value::Text(text.trim().to_owned())
            }
        }
    }

    /// `.include(priority=1,duplicate=merge) "PATH"`; of others nothing is known.
    fn macro_in(&mut self, block: &mut Block) {
        let words = self.until(&['"', '\n', '}']);
        if self.peek() != Some('"') {
            return;
        }
        let path = self.quoted();
        if !words.starts_with(".include") && !words.starts_with(".try_include") || self.depth == DEPTH {
            return;
        }
        let path = ["$LOCAL_CONFDIR", "${LOCAL_CONFDIR}", "$CONFDIR", "${CONFDIR}"]
            .iter()
            .fold(path, |path, name| path.replace(name, FOLDER));
        let comes_as = || {
            let (_, text) = COMES_AS.iter().find(|(name, _)| path == format!("{FOLDER}{name}"))?;
            Some((*text).to_owned())
        };
        let Some(text) = (self.read)(&path).or_else(comes_as) else { return };
        let words: String = words.split_whitespace().collect();
        let priority = words.split_once("priority=").map_or("0", |(_, rest)| rest);
        let priority = priority.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let mut included = Reader {
            read: self.read,
            text: text.chars().collect(),
            at: 0,
            line: 1,
            place: path,
            priority: priority.parse().unwrap_or(0),
            merges: words.contains("duplicate=merge"),
            depth: self.depth + 1,
        };
        included.read_into(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCLUDE: &str = ".include(try=true,priority=1,duplicate=merge) \"$LOCAL_CONFDIR/gatepost.conf\"\n";

    fn of(files: &[(&str, &str)]) -> Block {
        tree(&|path| {
            let found = files.iter().find(|(name, _)| path == format!("{FOLDER}/{name}"));
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn what_is_written_in_many_ways() {
        let text = "# rbl { x }\nrbl { /* { */ rbls = { \"a\" { rbl: a.test, checks = [\n\"from\", received\n] } } }\n\
                    group \"g\" { symbols { A { weight = -5.0; one_shot = true } } }\ntext = <<EOD\nb = 1;\nEOD\nafter yes;\n";
        let tree = of(&[("rspamd.conf.local", text)]);
        let rbl = tree.beside("rbl");
        let rule = rbl.one("rbls").unwrap().block().unwrap().one("a").unwrap();
        assert_eq!(rule.at, "/etc/rspamd/rspamd.conf.local:2");
        let rule = rule.block().unwrap();
        assert_eq!(rule.one("rbl").unwrap().text(), Some("a.test"));
        assert_eq!(rule.texts("checks"), ["from", "received"]);
        let group = tree.beside("group");
        let symbols = group.one("g").unwrap().block().unwrap().one("symbols").unwrap();
        let weight = symbols.block().unwrap().one("A").unwrap().block().unwrap().one("weight").unwrap();
        assert_eq!((weight.text(), &*weight.at), (Some("-5.0"), "/etc/rspamd/rspamd.conf.local:5"));
        assert_eq!(tree.one("after").unwrap().text(), Some("yes"));
        assert_eq!(tree.one("b"), None);
        // Nothing keeps it from ending.
        for broken in ["rbl {", "}", "a = [", "= ;", "\"", "<<", ".include", "a b c {", "[", "]"] {
            of(&[("rspamd.conf.local", broken)]);
        }
    }

    /// As rspamd 3.4 says of such files (`rspamadm configdump`).
    #[test]
    fn which_of_several_holds() {
        let rule = |more: &str| format!("rbl {{ rbls {{ a {{ rbl = \"a.test\"; {more} }} }} }}\n");
        let text = rule("exclude_local = true; checks = [\"from\"];");
        let values = |files: &[(&str, &str)], key: &str| {
            let mut all = vec![("gatepost.conf", &*text), ("rspamd.conf.local", INCLUDE)];
            all.retain(|(name, _)| !files.iter().any(|(other, _)| other == name));
            all.extend(files);
            let rbl = of(&all).beside("rbl");
            let rules = rbl.all("rbls").last().and_then(Node::block).cloned().unwrap_or_default();
            let rule = rules.all("a").first().and_then(Node::block).cloned().unwrap_or_default();
            rule.texts(key).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let own = |text: &str| format!("rbls {{ a {{ {text} }} }}\n");
        assert_eq!(values(&[], "exclude_local"), ["true"]);
        // Files that are merged have both, and lists are one.
        let local = own("exclude_local = false; checks = [\"received\"];");
        assert_eq!(values(&[("local.d/rbl.conf", &local)], "exclude_local"), ["false", "true"]);
        assert_eq!(values(&[("local.d/rbl.conf", &local)], "checks"), ["received", "from"]);
        // What overrides takes the place of a block, whole.
        assert_eq!(values(&[("override.d/rbl.conf", &local)], "rbl"), ["a.test"]);
        assert_eq!(values(&[("rspamd.conf.override", "rbl { }")], "rbl"), [""; 0]);
        // A text that stands twice.
        assert_eq!(values(&[("gatepost.conf", &format!("{text}{text}"))], "rbl"), ["a.test", "a.test"]);
        // Side by side: key by key.
        let beside = |more: &str| format!("{INCLUDE}{more}");
        assert_eq!(values(&[("rspamd.conf.local", &beside("rbl { enabled = true; }"))], "rbl"), ["a.test"]);
        let other = rule("exclude_local = false;");
        assert_eq!(values(&[("rspamd.conf.local", &beside(&other))], "exclude_local"), ["false"]);
        assert_eq!(
            values(&[("rspamd.conf.local", &beside("rbl { rbls { b { } } }"))], "exclude_local"),
            [""; 0]
        );
    }
}

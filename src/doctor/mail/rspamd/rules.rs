//! rspamd's rules as they are in effect: what each asks for whom, what its symbols weigh, and for which of them `force_actions` rejects. Pure.

use super::super::expression::holds;
use super::super::filter::Filter;
use super::tree::{Block, Node, Value};
use crate::model::Name;
use crate::snippet::rspamd::REJECT;

/// What rspamd does where nothing says otherwise, from what weight on; and what each is called elsewhere.
const MILDER: [(&str, &str, Option<f64>); 3] = [
    ("greylist", "greylist", Some(4.0)),
    ("add_header", "add header", Some(6.0)),
    ("rewrite_subject", "rewrite subject", None),
];
/// What is done with mail that weighs less.
const NOTHING: &str = "no action";
/// What a client is, by address.
const ADDRESSES: [&str; 2] = ["from", "received"];
/// Checks that look names up.
const NAMES: [&str; 9] =
    ["helo", "rdns", "urls", "content_urls", "emails", "replyto", "dkim", "images", "selector"];
/// What may be set as one text and as several.
const SEVERAL: [&str; 2] = ["require_symbols", "whitelist_exception"];

/// What is in effect.
#[derive(Debug, Default)]
pub(in super::super) struct Rules {
    pub(in super::super) rules: Vec<Rule>,
    /// Those that rspamd does not load, since something of them is set twice.
    pub(in super::super) twice: Vec<Twice>,
    /// Files that are included more than once, and where first and last.
    pub(in super::super) again: Vec<(String, [String; 2])>,
    weights: Vec<Weight>,
    /// What a mail weighs that is rejected; nothing where none is for its weight.
    pub(in super::super) reject: Option<f64>,
    /// Where that is said.
    pub(in super::super) reject_at: Option<String>,
    /// What is done with lighter mail, from what weight on.
    milder: Vec<(&'static str, f64)>,
    pub(in super::super) forces: Vec<Force>,
    /// `force_actions` is switched off there.
    pub(in super::super) forces_off: Option<String>,
    /// The block that takes the place of others with rules.
    pub(in super::super) forces_instead: Option<String>,
    /// `actions` of it, as they were written before there were rules, stand there: rspamd looks at no rule then.
    pub(in super::super) forces_of_old: Option<String>,
}

/// A rule of the `rbl` module.
#[derive(Debug)]
pub(in super::super) struct Rule {
    /// Where its zone is named.
    pub(in super::super) at: String,
    pub(in super::super) zone: Name,
    /// What it calls which answers.
    pub(in super::super) symbols: Vec<(String, Filter)>,
    /// What it looks up, and where that is said.
    pub(in super::super) checks: Vec<(String, String)>,
    pub(in super::super) is_whitelist: bool,
    /// Symbols of it that except nobody all the same.
    excepts_not: Vec<String>,
    /// It is asked whatever another one has that is a whitelist.
    ignores_whitelists: bool,
    pub(in super::super) excludes_local: bool,
}

#[derive(Debug)]
pub(in super::super) struct Twice {
    /// Where it names its zone.
    pub(in super::super) zones: Vec<(String, Name)>,
    pub(in super::super) key: String,
    pub(in super::super) places: Vec<String>,
}

/// What a symbol is given.
#[derive(Debug)]
pub(in super::super) struct Weight {
    symbol: String,
    pub(in super::super) value: f64,
    pub(in super::super) at: String,
}

/// A rule of `force_actions`.
#[derive(Debug)]
pub(in super::super) struct Force {
    pub(in super::super) name: String,
    pub(in super::super) at: String,
    /// What is set more than once, and where.
    pub(in super::super) twice: Option<(String, Vec<String>)>,
    pub(in super::super) action: String,
    pub(in super::super) expression: String,
    /// What rspamd must not be about to do with the mail, and what it must.
    honors: Option<Honors>,
    requires: Option<Honors>,
    /// Nothing else has to hold.
    is_plain: bool,
}

/// Actions that a rule of `force_actions` looks at.
#[derive(Debug)]
pub(in super::super) struct Honors {
    pub(in super::super) key: &'static str,
    pub(in super::super) at: String,
    actions: Vec<String>,
}

impl Rules {
    pub(in super::super) fn of(tree: &Block) -> Self {
        let mut rules = Self {
            reject: reject(tree),
            reject_at: tree.beside("actions").all("reject").last().map(at),
            milder: milder(tree),
            weights: weights(tree),
            ..Self::default()
        };
        rules.asked(&tree.beside("rbl"));
        let forces = tree.beside("force_actions");
        rules.forces_off = forces.all("enabled").first().filter(|node| is(node, false)).map(at);
        let of_old = forces.all("actions").iter().find(|node| node.block().is_some());
        rules.forces_of_old = of_old.map(at);
        let with_rules = |node: &&Node| node.block().is_some_and(|block| !block.all("rules").is_empty());
        let mut blocks = tree.all("force_actions").iter().filter(with_rules);
        rules.forces_instead = blocks.next_back().map(at).filter(|_| blocks.next().is_some());
        let each = forces.all("rules").iter().filter_map(Node::block).flat_map(|block| &block.0);
        rules.forces =
            each.flat_map(|(name, nodes)| nodes.iter().filter_map(|node| force(name, node))).collect();
        rules
    }

    fn asked(&mut self, module: &Block) {
        let default =
            |key: &str, otherwise: bool| module.all(key).last().map_or(otherwise, |node| is(node, true));
        let excludes_local = default("default_exclude_local", true);
        // Of several blocks the last counts.
        let rules = module.all("rbls").last().and_then(Node::block).cloned().unwrap_or_default();
        for (_, nodes) in &rules.0 {
            let blocks: Vec<&Block> = nodes.iter().filter_map(Node::block).collect();
            let zones = blocks.iter().flat_map(|block| block.all("rbl"));
            let zones: Vec<(String, Name)> = zones
                .filter_map(|node| Some((node.at.clone(), node.text()?.trim_end_matches('.').parse().ok()?)))
                .collect();
            let [block] = blocks[..] else {
                let places = nodes.iter().map(at).collect();
                self.twice.push(Twice { zones, key: "the rule".to_owned(), places });
                continue;
            };
            let twice = block.0.iter().find(|(key, nodes)| {
                nodes.len() > 1
                    && !SEVERAL.contains(&key.as_str())
                    && nodes.iter().any(|node| node.text().is_some())
            });
            if let Some((key, nodes)) = twice {
                self.twice.push(Twice {
                    zones,
                    key: format!("`{key}`"),
                    places: nodes.iter().map(at).collect(),
                });
                continue;
            }
            let Some((at, zone)) = zones.into_iter().next() else { continue };
            let flag = |key: &str| block.one(key).map(|node| is(node, true));
            if flag("enabled") == Some(false) || flag("disabled") == Some(true) {
                continue;
            }
            self.rules.push(Rule {
                at,
                zone,
                symbols: symbols(block),
                checks: checks(block),
                is_whitelist: flag("is_whitelist") == Some(true),
                excepts_not: block.texts("whitelist_exception").into_iter().map(str::to_owned).collect(),
                ignores_whitelists: flag("ignore_whitelist").or_else(|| flag("ignore_whitelists"))
                    == Some(true),
                excludes_local: flag("exclude_local").unwrap_or(excludes_local),
            });
        }
    }

    /// What a symbol weighs: of several groups that say it the heaviest.
    pub(in super::super) fn weight(&self, symbol: &str) -> Option<&Weight> {
        let of_it = self.weights.iter().filter(|weight| weight.symbol == symbol);
        of_it.max_by(|one, other| one.value.total_cmp(&other.value))
    }

    /// Whether mail with these symbols is rejected, whatever it weighs; nothing where that cannot be told.
    pub(in super::super) fn forced(&self, symbols: &[&str]) -> Option<bool> {
        if self.softens(symbols).is_some() {
            return Some(false);
        }
        let mut is_sure = true;
        for force in self.forces_in_effect() {
            match force.rejects(symbols, self.action(symbols)) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_sure = false,
            }
        }
        is_sure.then_some(false)
    }

    /// The rule that rejects mail with these symbols.
    pub(in super::super) fn forces(&self, symbols: &[&str]) -> Option<&Force> {
        self.forces_in_effect().find(|force| force.rejects(symbols, self.action(symbols)) == Some(true))
    }

    fn forces_in_effect(&self) -> impl Iterator<Item = &Force> {
        let is_on = self.forces_off.is_none() && self.forces_of_old.is_none();
        self.forces.iter().filter(move |_| is_on)
    }

    /// A rule that has something milder done with such mail: of several that hold nobody says which counts.
    pub(in super::super) fn softens(&self, symbols: &[&str]) -> Option<&Force> {
        self.forces_in_effect().find(|force| {
            let is_milder = !matches!(force.action.as_str(), "" | "reject" | "discard");
            is_milder
                && force.twice.is_none()
                && force.is_plain
                && holds(&force.expression, &|atom| symbols.contains(&atom)) == Some(true)
        })
    }

    /// What rspamd would do with mail that has these symbols alone, by what they weigh.
    pub(in super::super) fn action(&self, symbols: &[&str]) -> &'static str {
        let weight: f64 =
            symbols.iter().filter_map(|symbol| self.weight(symbol)).map(|weight| weight.value).sum();
        if self.reject.is_some_and(|reject| weight >= reject) {
            return "reject";
        }
        let reached = self.milder.iter().filter(|(_, from)| weight >= *from);
        reached.max_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(NOTHING, |(action, _)| *action)
    }
}

impl Force {
    /// `action` is what rspamd would do without it.
    fn rejects(&self, symbols: &[&str], action: &str) -> Option<bool> {
        if self.twice.is_some() || self.action != "reject" {
            return Some(false);
        }
        let holds = holds(&self.expression, &|atom| symbols.contains(&atom))?;
        if self.spares(action).is_some() {
            return Some(false);
        }
        (self.is_plain || !holds).then_some(holds)
    }

    /// What keeps it from doing anything with mail of which rspamd would do this.
    pub(in super::super) fn spares(&self, action: &str) -> Option<&Honors> {
        let has = |honors: &&Honors| honors.actions.iter().any(|known| known == action);
        self.honors.as_ref().filter(has).or_else(|| self.requires.as_ref().filter(|requires| !has(requires)))
    }

    pub(in super::super) fn mentions(&self, symbol: &str) -> bool {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.expression.split(|c| !is_word(c)).any(|word| word == symbol)
    }
}

fn at(node: &Node) -> String {
    node.at.clone()
}

/// Whether it says yes, or no.
fn is(node: &Node, wanted: bool) -> bool {
    let words = if wanted { ["true", "yes", "on"] } else { ["false", "no", "off"] };
    node.text().is_some_and(|text| words.contains(&text.to_ascii_lowercase().as_str()))
}

fn reject(tree: &Block) -> Option<f64> {
    match tree.beside("actions").all("reject") {
        [] => Some(REJECT),
        nodes => nodes.last()?.text()?.parse().ok(),
    }
}

fn milder(tree: &Block) -> Vec<(&'static str, f64)> {
    let actions = tree.beside("actions");
    let each = MILDER.into_iter().filter_map(|(key, action, comes)| {
        let from = match actions.all(key) {
            [] => comes,
            nodes => nodes.last()?.text()?.parse().ok(),
        };
        Some((action, from?))
    });
    each.collect()
}

fn weights(tree: &Block) -> Vec<Weight> {
    let mut weights: Vec<Weight> = Vec::new();
    let groups = tree.beside("group");
    let of_groups = groups.0.iter().filter_map(|(_, nodes)| nodes.last()?.block());
    for symbols in of_groups.flat_map(|group| group.all("symbols")) {
        weights.extend(weights_of(symbols));
    }
    // What stands in no group holds where no group says it.
    let of_none: Vec<Weight> = tree.all("symbols").iter().flat_map(weights_of).collect();
    let more =
        of_none.into_iter().filter(|weight| !weights.iter().any(|known| known.symbol == weight.symbol));
    let more: Vec<Weight> = more.collect();
    weights.extend(more);
    weights
}

fn weights_of(symbols: &Node) -> Vec<Weight> {
    let each = symbols.block().into_iter().flat_map(|block| &block.0);
    let weights = each.filter_map(|(symbol, nodes)| {
        let block = nodes.first()?.block()?;
        // Of two values the first counts.
        let node = block.all("weight").first().or_else(|| block.all("score").first())?;
        Some(Weight { symbol: symbol.clone(), value: node.text()?.parse().ok()?, at: node.at.clone() })
    });
    weights.collect()
}

fn symbols(block: &Block) -> Vec<(String, Filter)> {
    let coded = ["returncodes", "return_codes"].into_iter().flat_map(|key| block.all(key));
    let mut symbols: Vec<(String, Filter)> = Vec::new();
    for codes in coded.filter_map(Node::block) {
        for (symbol, _) in &codes.0 {
            let texts = codes.texts(symbol);
            let filter = Filter::of_each(texts.iter().map(AsRef::as_ref), &super::NO_CODE);
            symbols.push((symbol.to_ascii_uppercase(), filter));
        }
    }
    let bits = ["returnbits", "return_bits"].into_iter().flat_map(|key| block.all(key));
    for (symbol, _) in bits.filter_map(Node::block).flat_map(|bits| &bits.0) {
        symbols.push((symbol.to_ascii_uppercase(), Filter::Some));
    }
    if symbols.is_empty() {
        let filter = if block.all("returncodes_matcher").is_empty() { Filter::Open } else { Filter::Some };
        let symbol = block.one("symbol").and_then(Node::text).unwrap_or_default();
        symbols.push((symbol.to_owned(), filter));
    }
    symbols
}

/// Unless something is said the address of the client is looked up.
fn checks(block: &Block) -> Vec<(String, String)> {
    let excluded = block.texts("exclude_checks");
    let listed = block.all("checks").iter().flat_map(|node| match &node.value {
        Value::List(list) => list.iter().collect(),
        _ => vec![node],
    });
    let mut checks: Vec<(String, String)> =
        listed.filter_map(|node| Some((node.text()?.to_owned(), node.at.clone()))).collect();
    for key in ADDRESSES.iter().chain(&NAMES) {
        checks
            .extend(block.one(key).filter(|node| !is(node, false)).map(|node| ((*key).to_owned(), at(node))));
    }
    checks.retain(|(check, _)| !excluded.contains(&check.as_str()));
    checks
}

fn force(name: &str, node: &Node) -> Option<Force> {
    const MORE: [&str; 4] = ["require_action", "honor_action", "limit", "least"];
    let block = node.block()?;
    let several = |key: &&str| block.all(key).len() > 1;
    let twice = ["action", "expression"].iter().find(|key| several(key)).map(|key| {
        let key = *key;
        (key.to_owned(), block.all(key).iter().map(at).collect())
    });
    let text = |key: &str| block.all(key).first().and_then(Node::text).unwrap_or_default().to_owned();
    let honors = |key: &'static str| {
        let at = block.all(key).first().map(at)?;
        let actions = block.texts(key).into_iter().map(str::to_owned).collect();
        Some(Honors { key, at, actions })
    };
    Some(Force {
        name: name.to_owned(),
        at: block.all("action").first().map_or_else(|| node.at.clone(), at),
        twice,
        action: text("action"),
        expression: text("expression"),
        honors: honors("honor_action"),
        requires: honors("require_action"),
        is_plain: MORE.iter().all(|key| block.all(key).is_empty()),
    })
}

impl Rule {
    pub(in super::super) fn looks_up_addresses(&self) -> bool {
        self.checks.is_empty() || self.checks.iter().any(|(check, _)| ADDRESSES.contains(&check.as_str()))
    }

    pub(in super::super) fn looks_up_names(&self) -> bool {
        self.checks.iter().any(|(check, _)| !ADDRESSES.contains(&check.as_str()))
    }

    /// Where it is told to look up the relays that a mail came by.
    pub(in super::super) fn relays(&self) -> Option<&str> {
        self.check("received")
    }

    /// Whether rspamd does not ask it for a client that `symbol` of this one has.
    pub(in super::super) fn is_excepted_by(&self, other: &Self, symbol: &str) -> bool {
        let excepts = other.is_whitelist && !other.excepts_not.iter().any(|known| known == symbol);
        excepts && !self.ignores_whitelists && self.asks_for_clients() && other.asks_for_clients()
    }

    pub(in super::super) fn asks_for_clients(&self) -> bool {
        self.checks.is_empty() || self.check("from").is_some()
    }

    fn check(&self, wanted: &str) -> Option<&str> {
        self.checks.iter().find(|(check, _)| check == wanted).map(|(_, at)| at.as_str())
    }
}

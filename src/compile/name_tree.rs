//! The tree of names of a zone in little memory: each node has its own label and says how deep it stands.

use super::{AnswerId, NameNode};
use crate::model::{Name, TreeName};

/// Nodes that are listed, excluded or have such nodes below them; the root (the origin) first if there is any. Every
/// ancestor of a node is a node and stands before it, and what is below a node follows it in one row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameTree {
    nodes: Vec<TreeNode>,
    /// The labels of all nodes in their order, each behind its length octet; the root has none.
    labels: Vec<u8>,
    listed: usize,
    last_answer: AnswerId,
}

/// A node without its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeNode {
    exact: AnswerId,
    below: AnswerId,
    /// Labels of its name: nodes above it.
    pub depth: u8,
    /// See [`NameNode::parent`].
    pub parent: bool,
}

const NO_ANSWER: AnswerId = AnswerId::MAX;

impl TreeNode {
    /// For the name itself.
    pub fn exact(&self) -> Option<AnswerId> {
        (self.exact != NO_ANSWER).then_some(self.exact)
    }

    /// For names below it without a node.
    pub fn below(&self) -> Option<AnswerId> {
        (self.below != NO_ANSWER).then_some(self.below)
    }
}

impl NameTree {
    /// Adds a node; so many octets of `label` are the leftmost of its name, behind its length octet.
    #[inline]
    pub(super) fn push(
        &mut self,
        (label, len): (&[u8], usize),
        depth: usize,
        exact: Option<AnswerId>,
        below: Option<AnswerId>,
        parent: bool,
    ) {
        match label.first_chunk::<16>() {
            // Most labels are short, and each is copied as if it were the longest of those.
            Some(short) if len <= 16 => {
                let end = self.labels.len() + len;
                self.labels.extend_from_slice(short);
                self.labels.truncate(end);
            }
            _ => self.labels.extend_from_slice(&label[..len]),
        }
        self.listed += usize::from(exact.is_some() || below.is_some());
        self.last_answer = self.last_answer.max(exact.max(below).unwrap_or(0));
        let [exact, below] = [exact, below].map(|answer| answer.unwrap_or(NO_ANSWER));
        self.nodes.push(TreeNode { exact, below, depth: depth as u8, parent });
    }

    /// Makes a node a parent; whether it was one.
    pub(super) fn set_parent(&mut self, row: usize) -> bool {
        std::mem::replace(&mut self.nodes[row].parent, true)
    }

    /// Nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Nodes that answer, for themselves or for names below them.
    pub fn listed(&self) -> usize {
        self.listed
    }

    /// The greatest answer of a node; 0 where there is none.
    pub fn last_answer(&self) -> AnswerId {
        self.last_answer
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes in order, each with its label.
    pub fn nodes(&self) -> impl Iterator<Item = (&TreeNode, &[u8])> {
        self.nodes_and_labels().map(|(node, labels, start)| (node, &labels[start..]))
    }

    /// The nodes in order, each with all labels up to its own and where that begins in them.
    pub fn nodes_and_labels(&self) -> impl Iterator<Item = (&TreeNode, &[u8], usize)> {
        let mut start = 0;
        self.nodes.iter().map(move |node| {
            let len = if node.depth == 0 { 0 } else { 1 + usize::from(self.labels[start]) };
            let end = start + len;
            (node, &self.labels[..end], std::mem::replace(&mut start, end))
        })
    }

    /// The nodes in order, each with its whole name.
    pub fn iter(&self) -> impl Iterator<Item = NameNode> + '_ {
        let mut name = Vec::new();
        // Where each label of the present name ends.
        let mut ends = vec![0];
        self.nodes().map(move |(node, label)| {
            if node.depth > 0 {
                ends.truncate(node.depth.into());
                name.truncate(ends.last().copied().unwrap_or(0));
                name.extend_from_slice(label);
                ends.push(name.len());
            }
            let (exact, below) = (node.exact(), node.below());
            NameNode { name: Name::from_tree(&name), exact, below, parent: node.parent }
        })
    }
}

/// From nodes in any order, which must have all of their ancestors.
impl FromIterator<NameNode> for NameTree {
    fn from_iter<I: IntoIterator<Item = NameNode>>(nodes: I) -> Self {
        let named = nodes.into_iter().map(|node| (TreeName::of(&node.name), node));
        let mut named: Vec<_> = named.collect();
        named.sort_by(|a, b| a.0.as_octets().cmp(b.0.as_octets()));
        let mut tree = Self::default();
        for (_, node) in named {
            let wire = node.name.as_wire();
            let len = usize::from(wire[0]);
            let len = if len > 0 { 1 + len } else { 0 };
            tree.push((wire, len), node.name.labels().count(), node.exact, node.below, node.parent);
        }
        tree
    }
}

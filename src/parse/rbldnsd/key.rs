//! What an entry of a data set names, and how a set is told of it.

use super::ip4;
use crate::model::{Span, TreeName};
use crate::set::{Scope, SetBuilder, ValueId};

pub(in super::super) trait Key {
    /// IPv4 addresses in it, which `$MAXRANGE4` may find too many.
    fn addresses(&self) -> u64 {
        0
    }
    /// Lists it.
    fn list(&self, value: ValueId, builder: &mut SetBuilder);
    /// Excludes it.
    fn exclude(&self, builder: &mut SetBuilder);
}

impl Key for u32 {
    fn list(&self, value: ValueId, builder: &mut SetBuilder) {
        builder.host(*self, value);
    }

    fn exclude(&self, builder: &mut SetBuilder) {
        builder.exclude_v4(Span::host(*self));
    }
}

impl Key for Span<u32> {
    fn addresses(&self) -> u64 {
        ip4::size(self)
    }

    fn list(&self, value: ValueId, builder: &mut SetBuilder) {
        builder.v4(*self, value);
    }

    fn exclude(&self, builder: &mut SetBuilder) {
        builder.exclude_v4(*self);
    }
}

impl Key for Span<u128> {
    fn list(&self, value: ValueId, builder: &mut SetBuilder) {
        builder.v6(*self, value);
    }

    fn exclude(&self, builder: &mut SetBuilder) {
        builder.exclude_v6(*self);
    }
}

/// The name itself, what is below it, or both.
impl Key for (TreeName, &'static [Scope]) {
    fn list(&self, value: ValueId, builder: &mut SetBuilder) {
        let (name, scopes) = self;
        scopes.iter().for_each(|&scope| builder.tree_name(name, scope, value));
    }

    fn exclude(&self, builder: &mut SetBuilder) {
        let (name, scopes) = self;
        scopes.iter().for_each(|&scope| builder.exclude_tree_name(name, scope));
    }
}

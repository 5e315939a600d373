//! Which prefix stands for which namespace at the place being read.
//!
//! Only bookkeeping and the rules of "Namespaces in XML 1.0" §3; what a
//! namespace means is decided by whoever reads.

use std::borrow::Cow;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{Error, Limit, chars};
use crate::ns;

/// A namespace declaration in force around what is read: on the stream's
/// opening tag, or on the stanza around a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The prefix; empty for the default namespace.
    pub prefix: SmolStr,
    /// The namespace; empty for none.
    pub ns: SmolStr,
}

impl Declaration {
    /// Declares `prefix` (empty: the default namespace) to stand for `ns`.
    pub fn new(prefix: impl Into<SmolStr>, ns: impl Into<SmolStr>) -> Self {
        Self {
            prefix: prefix.into(),
            ns: ns.into(),
        }
    }
}

/// A resolved namespace, cheap to copy; [`Scope::get`] gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NsId(usize);

struct Binding<'a> {
    prefix: &'a str,
    ns: Cow<'a, str>,
    /// Elements open when it was declared; 0 for what surrounds the text.
    depth: usize,
    is_used: bool,
}

/// The stack of declarations in force.
pub(super) struct Scope<'a> {
    bindings: SmallVec<[Binding<'a>; 8]>,
    base: usize,
}

impl<'a> Scope<'a> {
    /// No namespace.
    pub(super) const NONE: NsId = NsId(0);
    const XML: NsId = NsId(1);

    pub(super) fn new(base: &'a [Declaration]) -> Self {
        let mut bindings = SmallVec::new();
        let mut bind = |prefix, ns| {
            bindings.push(Binding {
                prefix,
                ns: Cow::Borrowed(ns),
                depth: 0,
                is_used: false,
            });
        };
        bind("", "");
        bind("xml", ns::XML);
        for declaration in base {
            bind(&declaration.prefix, &declaration.ns);
        }
        Self {
            bindings,
            base: base.len(),
        }
    }

    /// Adds a declaration made at `depth`.
    pub(super) fn declare(
        &mut self,
        prefix: &'a str,
        ns: Cow<'a, str>,
        depth: usize,
        namespaces_max: usize,
    ) -> Result<(), Error> {
        const BAD: Error = Error::NotWellFormed("bad namespace declaration");
        let is_xml = ns == ns::XML;
        if prefix == "xml" && is_xml {
            return Ok(());
        }
        let is_reserved = is_xml || ns == ns::XMLNS || prefix == "xml" || prefix == "xmlns";
        if is_reserved || (ns.is_empty() && !prefix.is_empty()) {
            return Err(BAD);
        }
        if self.bindings.len() - 2 - self.base >= namespaces_max {
            return Err(Error::Limit(Limit::Namespaces));
        }
        self.bindings.push(Binding {
            prefix,
            ns,
            depth,
            is_used: false,
        });
        Ok(())
    }

    /// Forgets what was declared at `depth` or deeper.
    pub(super) fn close(&mut self, depth: usize) {
        while self
            .bindings
            .last()
            .is_some_and(|b| b.depth >= depth && depth > 0)
        {
            self.bindings.pop();
        }
    }

    /// The namespace `prefix` stands for.
    pub(super) fn resolve(&mut self, prefix: &str) -> Result<NsId, Error> {
        if prefix == "xml" {
            return Ok(Self::XML);
        }
        let found = self
            .bindings
            .iter()
            .rposition(|b| chars::is_same(b.prefix, prefix));
        let at = found.ok_or(Error::UndeclaredPrefix)?;
        let binding = &mut self.bindings[at];
        binding.is_used = true;
        Ok(if binding.ns.is_empty() {
            Self::NONE
        } else {
            NsId(at)
        })
    }

    pub(super) fn get(&self, id: NsId) -> &str {
        self.bindings.get(id.0).map_or("", |b| &b.ns)
    }

    /// The surrounding declarations of a prefix that the text leans on.
    pub(super) fn used_base(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.bindings[2..2 + self.base]
            .iter()
            .filter(|b| b.is_used && !b.prefix.is_empty())
            .map(|b| (b.prefix, &*b.ns))
    }
}

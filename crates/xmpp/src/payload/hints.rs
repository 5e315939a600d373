//! XEP-0334: Message Processing Hints, version 1.0.0: what a sender would
//! like not to happen to a message, or to happen.
//!
//! What to make of them is for whoever stores or copies messages.

use crate::ns;
use crate::stanza::{Stanza, Type};

/// The hints of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// §4.1: not into any archive.
    pub is_no_permanent_store: bool,
    /// §4.2: nor kept for a client that is offline.
    pub is_no_store: bool,
    /// §4.3: no carbons.
    pub is_no_copy: bool,
    /// §4.4: kept even when it would not be.
    pub is_store: bool,
}

impl Hints {
    /// The hints of a stanza. §5: those in an error are someone else's.
    #[must_use]
    pub fn of(stanza: &Stanza) -> Self {
        if stanza.head.type_ == Type::Error {
            return Self::default();
        }
        let mut hints = Self::default();
        for hint in stanza.payloads().filter(|payload| payload.is_in(ns::HINTS)) {
            match hint.name() {
                "no-permanent-store" => hints.is_no_permanent_store = true,
                "no-store" => hints.is_no_store = true,
                "no-copy" => hints.is_no_copy = true,
                "store" => hints.is_store = true,
                _ => {}
            }
        }
        hints
    }

    /// Whether the archive is asked to stay away. `store` beside it does not
    /// change that: not keeping is the request that protects someone.
    #[must_use]
    pub const fn forbids_archive(self) -> bool {
        self.is_no_permanent_store || self.is_no_store
    }
}

#[cfg(test)]
mod tests {
    use super::Hints;
    use crate::element::Element;
    use crate::ns;
    use crate::stanza::{Stanza, Type};

    /// XEP-0334 §4.
    #[test]
    fn each_hint_is_known_by_name_and_namespace() {
        let of = |payloads: &[(&str, &str)]| {
            let elements = payloads.iter().map(|(ns, name)| Element::new(*ns, *name));
            let message = Stanza::message(Type::Chat);
            Hints::of(&elements.fold(message, |message, element| message.child(&element)))
        };
        let hints = of(&[(ns::CLIENT, "body"), (ns::HINTS, "no-copy"), ("x", "store")]);
        assert_eq!(
            hints,
            Hints {
                is_no_copy: true,
                ..Hints::default()
            }
        );
        assert!(!hints.forbids_archive());
        let hints = of(&[(ns::HINTS, "no-store"), (ns::HINTS, "store")]);
        assert!(hints.forbids_archive() && hints.is_store);
        assert!(of(&[(ns::HINTS, "no-permanent-store")]).forbids_archive());
    }

    /// XEP-0334 §5.
    #[test]
    fn the_hints_of_an_error_do_not_count() {
        let hint = Element::new(ns::HINTS, "no-store");
        let hints = |type_| Hints::of(&Stanza::message(type_).child(&hint));
        assert!(hints(Type::Chat).is_no_store);
        assert_eq!(hints(Type::Error), Hints::default());
    }
}

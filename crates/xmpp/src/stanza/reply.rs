//! Answers to a stanza: results and errors.
//!
//! When one is due is decided by `session`; here is only what may be said.

use super::{Head, Kind, Stanza, Type};
use crate::element::Element;
use crate::error::StanzaError;
use crate::ns;

impl Stanza {
    /// The empty result of an IQ, addresses swapped (RFC 6120 §8.2.3).
    #[must_use]
    pub fn result(&self) -> Stanza {
        debug_assert!(self.head.kind == Kind::Iq, "only an IQ has a result");
        self.answer(Type::Result)
    }

    /// The result of an IQ with its payload.
    #[must_use]
    pub fn result_with(&self, payload: &Element) -> Stanza {
        self.result().child(payload)
    }

    /// This stanza coming back with an error; `None` when it is an error or a
    /// result itself and so must not be answered (RFC 6120 §8.3.1).
    ///
    /// What was sent is not repeated in it: that is optional, and would let
    /// anyone have us send large stanzas to others.
    #[must_use]
    pub fn error(&self, error: &StanzaError) -> Option<Stanza> {
        if matches!(self.head.type_, Type::Error | Type::Result) {
            return None;
        }
        Some(self.answer(Type::Error).child(&error.to_element()))
    }

    /// The error this stanza carries, when it is of type `error`.
    #[must_use]
    pub fn stanza_error(&self) -> Option<StanzaError> {
        if self.head.type_ != Type::Error {
            return None;
        }
        let payload = self.payload(ns::CLIENT, "error")?;
        Some(StanzaError::from_element(&payload.element()))
    }

    fn answer(&self, type_: Type) -> Stanza {
        let mut head = Head::new(self.head.kind, type_);
        head.id.clone_from(&self.head.id);
        head.to.clone_from(&self.head.from);
        head.from.clone_from(&self.head.to);
        Stanza {
            head: Box::new(head),
            body: std::sync::Arc::default(),
        }
    }
}

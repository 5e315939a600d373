//! RFC 7622, section by section, and what must hold for any text.

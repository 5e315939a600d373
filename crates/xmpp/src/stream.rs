//! XML streams (RFC 6120 §4): from bytes to headers, stanzas and nonzas.
//!
//! Sans-IO: bytes are fed in, events come out. Negotiation and what is
//! answered are left to the edge.

//! Bounds on one top-level element, and their values for every situation.
//!
//! How often a peer may reach them (rates, totals) is left to the edge.

/// What one top-level element may weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the first `<` to the last `>`. RFC 6120 §13.12 forbids less
    /// than 10,000 once a peer is authenticated.
    pub stanza_bytes_max: usize,
    /// Elements within each other, the top-level element being the first.
    pub depth_max: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes_max: usize,
    /// Namespace declarations in force at one place.
    pub namespaces_max: usize,
    /// Elements within one top-level element, itself included.
    pub elements_max: usize,
}

impl Limits {
    /// For a peer that has not proved who it is: 8 KB and 32 elements.
    pub const UNAUTHENTICATED: Self = Self {
        stanza_bytes_max: 8_192,
        depth_max: 16,
        attributes_max: 32,
        namespaces_max: 32,
        elements_max: 32,
    };

    /// For an authenticated client.
    pub const AUTHENTICATED: Self = Self {
        stanza_bytes_max: 262_144,
        depth_max: 128,
        attributes_max: 64,
        namespaces_max: 64,
        elements_max: 16_384,
    };

    /// For what comes from our own disk or another node of ours: it was
    /// checked once, so only the stack and memory of a bad record matter.
    /// Wrapping (a carbon, a forward) may have made it larger than any peer
    /// may send.
    pub const TRUSTED: Self = Self {
        stanza_bytes_max: 64 * 1_048_576,
        depth_max: 256,
        attributes_max: 256,
        namespaces_max: 1_024,
        elements_max: 4_194_304,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::AUTHENTICATED
    }
}

//! JIDs, stanzas, error conditions, the XML reader and writer, stream framing.

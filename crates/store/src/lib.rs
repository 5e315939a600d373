//! Storage traits and records, one domain per file, with the in-memory reference.

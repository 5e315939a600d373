//! The contract between nodes as Rust traits, and its in-process form.

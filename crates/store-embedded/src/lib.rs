//! The embedded store: redb with group commit.

//! The extensions of XMPP, one file each.

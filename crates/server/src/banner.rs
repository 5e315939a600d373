//! What a node prints once it serves: enough for a newcomer to connect.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::node::Node;

/// The text. Its last line has the word "ready", for scripts that wait.
///
/// `program` and `data` are the program and the folder as the operator named
/// them, for commands to be copied.
#[must_use]
pub fn banner(node: &Node, program: &OsStr, data: &Path) -> String {
    let config = node.config();
    let hosts: Vec<&str> = config.host.keys().map(String::as_str).collect();
    let first = hosts.first().copied().unwrap_or("localhost");
    let mut text = format!("Starling {}\n", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(text, "  serves     {}", hosts.join(", "));
    for listener in node.listeners() {
        let how = match listener.protocol {
            "tls" => "TLS from the first byte",
            "http" => "HTTP: /metrics, /health, /ready",
            _ => "STARTTLS",
        };
        let _ = writeln!(text, "  listens    {} ({how})", listener.address);
    }
    let _ = writeln!(text, "  data       {}", node.data().display());
    let option = match data.to_str() {
        Some("data") | None => String::new(),
        Some(folder) => format!(" --data {}", quoted(folder)),
    };
    let program = quoted(program.to_str().unwrap_or("starling"));
    let self_signed = config
        .host
        .iter()
        .filter(|(_, host)| host.certificate.is_none());
    let self_signed: Vec<&str> = self_signed.map(|(name, _)| name.as_str()).collect();
    let _ = write!(
        text,
        "\nAdd a user:      {program} user add alice@{first}{option}\n\
         Then connect:    any XMPP client, address alice@{first}\n\
         How is it?       {program} status{option}\n",
    );
    if !self_signed.is_empty() {
        let _ = write!(
            text,
            "\nThe certificate of {} is self-signed: your client will ask whether to trust it.\n",
            self_signed.join(", ")
        );
    }
    text.push_str("\nStarling is ready. Ctrl-C stops it.\n");
    text
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn commands_can_be_copied() {
        assert_eq!(quoted("target/debug/starling"), "target/debug/starling");
        assert_eq!(quoted("/srv/my data"), "'/srv/my data'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

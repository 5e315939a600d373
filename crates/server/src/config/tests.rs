//! What operators are told about their mistakes, word for word.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use starling_xmpp::UnixMillis;

use super::load::parse;
use super::{Config, Environment, template};

fn variables(pairs: &[(&str, &str)]) -> Environment {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn config(text: &str) -> Config {
    let loaded = parse(
        "starling.toml",
        text,
        Path::new(""),
        &Environment::default(),
    );
    loaded.unwrap().config
}

fn mistakes(text: &str, environment: &Environment) -> String {
    let refused = parse("starling.toml", text, Path::new(""), environment).unwrap_err();
    refused.to_string()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(config(""), Config::default());
    assert!(Config::default().host.contains_key("localhost"));
}

#[test]
fn the_template_is_the_defaults_and_shows_every_key() {
    assert_eq!(config(&template()), Config::default());
    for line in template().lines() {
        assert!(
            !line.ends_with(" ="),
            "a key without default has no example: {line}"
        );
        assert!(
            line.chars().count() <= 80 || !line.starts_with("# "),
            "{line}"
        );
    }
}

#[test]
fn the_template_is_in_the_documentation() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/starling.toml");
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        written == template(),
        "docs/starling.toml is out of date; write it anew with: \
         cargo run -p starling-server -- config default > docs/starling.toml"
    );
}

#[test]
fn naming_a_host_replaces_localhost() {
    let config = config("[host.\"example.org\"]\nregistration = true\n");
    assert_eq!(config.host.keys().collect::<Vec<_>>(), ["example.org"]);
    assert!(config.host["example.org"].registration);
}

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_remedy() {
    let text = "\
[log]
level = \"inof\"
formt = \"json\"

[edge.tcp]
drain_timeout = \"30\"
listen = [\"[::]:5222\", \"5222\"]

[node]
name = 5

[session]
roster_items_max = -1

[host.\"example.org\"]
registration = \"yes\"
certificate = \"/nowhere/example.org.crt\"

[hots]
a = 1
";
    assert_eq!(
        mistakes(text, &Environment::default()),
        "the configuration has 10 mistakes:
  starling.toml:2: log.level: \"inof\" is not a log level: use error, warn, info, debug, trace or off in place of \"inof\"
  starling.toml:3: log.formt: no such key: did you mean \"format\"?
  starling.toml:6: edge.tcp.drain_timeout: \"30\" is not a duration: write it as \"30s\", \"5m\" or \"1h 30m\"
  starling.toml:7: edge.tcp.listen[1]: \"5222\" is not an address and port: write it as \"[::]:5222\" or \"127.0.0.1:5222\"
  starling.toml:10: node.name: a whole number was given, but this is text: put it in quotes (the default is \"starling\")
  starling.toml:13: session.roster_items_max: -1 is too small: use 1 to 100000
  starling.toml:16: host.\"example.org\".registration: text was given, but this is true or false, which have no quotes
  starling.toml:17: host.\"example.org\".certificate: a certificate needs its private key: set \"key\" beside it
  starling.toml:17: host.\"example.org\".certificate: cannot read /nowhere/example.org.crt: No such file or directory (os error 2)
  starling.toml:19: hots: no such key: did you mean \"host\"?
Every key is explained by: starling config default"
    );
}

#[test]
fn hosts_and_their_contacts_are_checked() {
    let text = "\
[host.\"a@b\"]

[host.\"example.org\"]
contact.abuse = [\"abuse@example.org\"]
key = \"/nowhere/example.org.key\"
";
    assert_eq!(
        mistakes(text, &Environment::default()),
        "the configuration has 4 mistakes:
  starling.toml:1: host.\"a@b\": a host is a name such as \"example.org\", without @ or /
  starling.toml:4: host.\"example.org\".contact.abuse: \"abuse@example.org\" is not a URI: write it as \"mailto:…\" or \"xmpp:…\"
  starling.toml:5: host.\"example.org\".key: a private key needs its certificate: set \"certificate\" beside it
  starling.toml:5: host.\"example.org\".key: cannot read /nowhere/example.org.key: No such file or directory (os error 2)
Every key is explained by: starling config default"
    );
}

#[test]
fn mistakes_in_the_syntax_have_their_line() {
    let told = mistakes("[log]\nlevel = \n", &Environment::default());
    assert!(
        told.contains("starling.toml:2: this is not TOML: "),
        "{told}"
    );
}

#[test]
fn variables_override_the_file() {
    let environment = variables(&[
        ("STARLING_EDGE__TCP__DRAIN_TIMEOUT", "1m"),
        ("STARLING_EDGE__TCP__LISTEN", "[::1]:15222"),
        (
            "STARLING_HOST__LOCALHOST__CONTACT__ADMIN",
            "mailto:a@b.c,xmpp:a@b.c",
        ),
        ("STARLING_HOST__LOCALHOST__ANONYMOUS", "true"),
        // Of Kubernetes, not of ours.
        ("STARLING_PORT", "tcp://10.0.0.1:5222"),
    ]);
    let text = "[edge.tcp]\ndrain_timeout = \"1s\"\n";
    let loaded = parse("starling.toml", text, Path::new(""), &environment);
    let config = loaded.unwrap().config;
    assert_eq!(config.edge.tcp.drain_timeout, Duration::from_secs(60));
    assert_eq!(config.edge.tcp.listen.0, ["[::1]:15222".parse().unwrap()]);
    assert!(config.host["localhost"].anonymous);
    assert_eq!(
        config.host["localhost"].contact.admin,
        ["mailto:a@b.c", "xmpp:a@b.c"]
    );
}

#[test]
fn hosts_of_any_name_are_set_by_variables() {
    let environment = variables(&[
        ("STARLING_HOST__MAIN__NAME", "verona-3.example"),
        ("STARLING_HOST__MAIN__REGISTRATION", "true"),
        ("STARLING_HOST__MAIN__CONTACT__ABUSE", "mailto:a@b.c"),
        ("STARLING_HOST__BARE__NAME", "größe.example"),
        ("STARLING_HOST__IN_FILE__NAME", "file.example"),
        ("STARLING_HOST__IN_FILE__ANONYMOUS", "false"),
        // Where a variable may have a dot, the name is its own label.
        ("STARLING_HOST__dotted.example__ANONYMOUS", "true"),
        ("STARLING_HOST__LAN__TITLE", "In the file"),
    ]);
    let text = "[host.\"file.example\"]\nanonymous = true\n[host.lan]\n";
    let loaded = parse("starling.toml", text, Path::new(""), &environment);
    let config = loaded.unwrap().config;
    let names: Vec<&str> = config.host.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "dotted.example",
            "file.example",
            "größe.example",
            "lan",
            "verona-3.example"
        ]
    );
    assert!(config.host["verona-3.example"].registration);
    assert_eq!(
        config.host["verona-3.example"].contact.abuse,
        ["mailto:a@b.c"]
    );
    assert!(config.host["dotted.example"].anonymous);
    assert!(!config.host["file.example"].anonymous);
    assert_eq!(config.host["lan"].title.as_deref(), Some("In the file"));
}

#[test]
fn labels_that_do_not_say_which_host_are_told() {
    let environment = variables(&[
        ("STARLING_HOST__A__NAME", "twice.example"),
        ("STARLING_HOST__B__NAME", "twice.example"),
        ("STARLING_HOST__C__NAME", ""),
        ("STARLING_HOST__D__NAME", "a@b"),
        ("STARLING_HOST__E__REGISTRATION", "maybe"),
        ("STARLING_HOST__E__NAME", "e.example"),
        ("STARLING_HOST__VERONA_EXAMPLE__ANONYMOUS", "true"),
    ]);
    assert_eq!(
        mistakes("", &environment),
        "the configuration has 5 mistakes:
  STARLING_HOST__B__NAME: host.b.name: another label is \"twice.example\" already: use that one
  STARLING_HOST__C__NAME: host.c.name: the name is empty
  STARLING_HOST__VERONA_EXAMPLE__ANONYMOUS: host.verona_example.anonymous: nothing says which one \"verona_example\" is: set STARLING_HOST__VERONA_EXAMPLE__NAME to its name
  STARLING_HOST__E__REGISTRATION: host.\"e.example\".registration: text was given, but this is true or false, which have no quotes
  STARLING_HOST__D__NAME: host.\"a@b\": a host is a name such as \"example.org\", without @ or /
Every key is explained by: starling config default"
    );
}

#[test]
fn a_mistaken_variable_is_named() {
    let environment = variables(&[
        ("STARLING_LOG__FORMAT", "yaml"),
        ("STARLING_LOGS__FORMAT", "json"),
    ]);
    assert_eq!(
        mistakes("", &environment),
        "the configuration has 2 mistakes:
  STARLING_LOG__FORMAT: log.format: \"yaml\" is not possible here: use \"human\" or \"json\"
  STARLING_LOGS__FORMAT: logs: no such key: did you mean \"log\"?
Every key is explained by: starling config default"
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let file = |name, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    file("a.crt", made.cert.pem());
    file("a.key", made.signing_key.serialize_pem());
    let text = "[host.\"a.example\"]\ncertificate = \"a.crt\"\nkey = \"a.key\"\n";
    let loaded = parse(
        "starling.toml",
        text,
        folder.path(),
        &Environment::default(),
    );
    let config = loaded.unwrap().config;
    assert_eq!(
        config.host["a.example"].certificate,
        Some(folder.path().join("a.crt"))
    );
}

#[test]
fn a_key_of_another_certificate_is_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let made = || rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let file = |name, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    file("a.crt", made().cert.pem());
    file("a.key", made().signing_key.serialize_pem());
    let text = "[host.\"a.example\"]\ncertificate = \"a.crt\"\nkey = \"a.key\"\n";
    let refused = parse(
        "starling.toml",
        text,
        folder.path(),
        &Environment::default(),
    );
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the configuration has a mistake:
  starling.toml:2: host.\"a.example\".certificate: the private key does not belong to the certificate
Every key is explained by: starling config default"
    );
}

#[test]
fn certificates_that_clients_will_refuse_are_told_and_taken() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let file = |name, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    file("a.crt", made.cert.pem());
    file("a.key", made.signing_key.serialize_pem());
    let text = "\
[host.\"a.example\"]
certificate = \"a.crt\"
key = \"a.key\"
[host.\"b.example\"]
certificate = \"a.crt\"
key = \"a.key\"
";
    let nothing = Environment::default();
    let loaded = parse("starling.toml", text, folder.path(), &nothing).unwrap();
    let doubts = loaded.doubts(UnixMillis(1_790_000_000_000));
    let doubts: Vec<String> = doubts.iter().map(ToString::to_string).collect();
    assert_eq!(
        doubts,
        [
            "starling.toml:5: host.\"b.example\".certificate: the certificate is for a.example, \
             not for b.example: clients will refuse it, unless what they connect to shows another"
        ]
    );
}

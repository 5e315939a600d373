//! From a file and the environment to a [`Config`], or to every mistake.

use std::path::Path;

use serde::Deserialize;
use starling_xmpp::UnixMillis;
use toml::Table;
use toml::de::DeTable;

use super::origin::{Origins, line_of};
use super::schema::{self, Schema};
use super::walk::Walk;
use super::{Admin, Config, Environment, Problem, Problems};

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values in force.
    pub config: Config,
    name: String,
    origins: Origins,
}

impl Loaded {
    /// What is no mistake, and will trouble clients all the same: certificates
    /// of another name, or at the end of their time.
    #[must_use]
    pub fn doubts(&self, now: UnixMillis) -> Vec<Problem> {
        let mut doubts = Vec::new();
        for (name, host) in &self.config.host {
            let key = format!("{}.certificate", super::origin::join("host", name));
            let place = self.origins.get(&key).unwrap_or(&self.name);
            doubts.extend(host.doubts(name, now).into_iter().map(|message| Problem {
                place: place.to_owned(),
                key: key.clone(),
                message,
            }));
        }
        doubts
    }
}

/// Loads `file`, or the defaults without one, and applies `environment`.
///
/// # Errors
/// Every mistake that was found, in the order of the file.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, Problems> {
    let text = read(file)?;
    let name = file.map_or_else(String::new, |file| file.display().to_string());
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    parse(&name, &text, folder, environment)
}

/// Only `[admin]`, for commands that speak to a running node: mistakes elsewhere
/// are not in their way, and files that only the node may read need not be
/// readable.
///
/// # Errors
/// Every mistake in that section, and one that keeps the file from being read.
pub fn load_admin(file: Option<&Path>, environment: &Environment) -> Result<Admin, Problems> {
    let text = read(file)?;
    let name = file.map_or_else(String::new, |file| file.display().to_string());
    let (mut table, mut origins) = parse_toml(&name, &text)?;
    let schema = schema::whole();
    let schema = Schema::new(&schema);
    let mut problems = environment.apply(&mut table, &mut origins, schema);
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    problems.extend(Walk::check(&mut table, schema, &origins, &defaults));
    table.retain(|section, _| section == "admin");
    let (mut config, refused) = build(table, &origins);
    problems.extend(refused);
    problems.retain(|problem| problem.key == "admin" || problem.key.starts_with("admin."));
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    config.resolve(file.and_then(Path::parent).unwrap_or(Path::new("")));
    Ok(config.admin)
}

fn read(file: Option<&Path>) -> Result<String, Problems> {
    let Some(file) = file else {
        return Ok(String::new());
    };
    std::fs::read_to_string(file).map_err(|error| {
        Problems(vec![Problem {
            place: file.display().to_string(),
            key: String::new(),
            message: format!("cannot read it: {error}; name the file with --config"),
        }])
    })
}

pub(super) fn parse(
    name: &str,
    text: &str,
    folder: &Path,
    environment: &Environment,
) -> Result<Loaded, Problems> {
    let (mut table, mut origins) = parse_toml(name, text)?;
    let schema = schema::whole();
    let schema = Schema::new(&schema);
    let mut problems = environment.apply(&mut table, &mut origins, schema);
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    problems.extend(Walk::check(&mut table, schema, &origins, &defaults));
    let (mut config, refused) = build(table, &origins);
    problems.extend(refused);
    config.resolve(folder);
    for (key, message) in config.problems() {
        let place = origins.get(&key).unwrap_or(name).into();
        problems.push(Problem {
            place,
            key,
            message,
        });
    }
    problems.sort_by_key(Problem::line);
    if problems.is_empty() {
        Ok(Loaded {
            config,
            name: name.to_owned(),
            origins,
        })
    } else {
        Err(Problems(problems))
    }
}

/// Values and their places, or every mistake in the syntax.
fn parse_toml(name: &str, text: &str) -> Result<(Table, Origins), Problems> {
    let (spanned, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        let problems = mistakes.iter().map(|mistake| {
            let line = line_of(text, mistake.span().map_or(0, |span| span.start));
            Problem {
                place: format!("{name}:{line}"),
                key: String::new(),
                message: format!("this is not TOML: {}", mistake.message()),
            }
        });
        return Err(Problems(problems.collect()));
    }
    let origins = Origins::of_file(name, text, spanned.get_ref());
    let table = toml::from_str(text).map_err(|error: toml::de::Error| {
        Problems(vec![Problem {
            place: name.into(),
            key: String::new(),
            message: error.message().into(),
        }])
    })?;
    Ok((table, origins))
}

/// Builds each section by itself, so that one that is refused does not hide
/// the mistakes of another. What is refused has its defaults.
fn build(table: Table, origins: &Origins) -> (Config, Vec<Problem>) {
    let mut config = Config::default();
    let mut problems = Vec::new();
    for (name, value) in table {
        let section = Table::from_iter([(name.clone(), value)]);
        match Config::deserialize(section) {
            Ok(built) => config.take(&name, built),
            Err(refused) => problems.push(Problem {
                place: origins.get(&name).unwrap_or_default().into(),
                key: name,
                message: refused.message().into(),
            }),
        }
    }
    (config, problems)
}

impl Config {
    /// Takes over one section of another configuration.
    fn take(&mut self, section: &str, other: Self) {
        match section {
            "node" => self.node = other.node,
            "log" => self.log = other.log,
            "traces" => self.traces = other.traces,
            "host" => self.host = other.host,
            "edge" => self.edge = other.edge,
            "session" => self.session = other.session,
            "store" => self.store = other.store,
            "cluster" => self.cluster = other.cluster,
            "link" => self.link = other.link,
            "admin" => self.admin = other.admin,
            "api" => self.api = other.api,
            _ => {}
        }
    }

    /// Makes paths that are relative to the folder of the configuration file
    /// usable from anywhere.
    fn resolve(&mut self, folder: &Path) {
        for host in self.host.values_mut() {
            let optional = [&mut host.certificate, &mut host.key];
            let paths = optional.into_iter().flatten();
            for path in paths.chain(&mut host.client_authorities) {
                *path = folder.join(&path);
            }
        }
        let (cluster, link, cql) = (&mut self.cluster, &mut self.link, &mut self.store.cql);
        let optional = [
            &mut self.admin.socket,
            &mut self.traces.headers_file,
            &mut cluster.password_file,
            &mut cluster.ca,
            &mut cluster.cert,
            &mut cluster.key,
            &mut link.certificate,
            &mut link.key,
            &mut link.ca,
            &mut cql.password_file,
            &mut cql.ca,
            &mut cql.cert,
            &mut cql.key,
        ];
        for path in optional.into_iter().flatten() {
            *path = folder.join(&path);
        }
    }

    /// What is wrong beyond the shape of the values, by full key.
    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, message) in self.log.check() {
            problems.push((format!("log.{key}"), message));
        }
        for (key, message) in self.traces.check() {
            problems.push((format!("traces.{key}"), message));
        }
        for problem in self.edge.check() {
            problems.push((format!("edge.{}", problem.key), problem.text));
        }
        problems.extend(self.cluster_problems());
        if self.host.is_empty() {
            let message = "a node needs a host to serve: write [host.\"example.org\"]";
            problems.push(("host".into(), message.into()));
        }
        for (name, host) in &self.host {
            let section = super::origin::join("host", name);
            if let Some(wrong) = wrong_host(name) {
                problems.push((section.clone(), wrong));
            }
            for (key, message) in host.problems() {
                problems.push((format!("{section}.{key}"), message));
            }
        }
        problems
    }
}

/// Why a name cannot be that of a host, if it cannot.
fn wrong_host(name: &str) -> Option<String> {
    match starling_xmpp::Jid::parse(name) {
        Ok(jid) if jid.local().is_some() || jid.resource().is_some() => {
            Some("a host is a name such as \"example.org\", without @ or /".into())
        }
        Ok(jid) if jid.domain() != name => Some(format!(
            "a host is written in its prepared form: \"{}\"",
            jid.domain()
        )),
        Ok(_) => None,
        Err(error) => Some(format!("not the name of a host: {error}")),
    }
}

impl Config {
    /// Sections that differ and are read only at the start of a node.
    pub(crate) fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let ports = |config: &Self| {
            let tcp = &config.edge.tcp;
            (tcp.listen.clone(), tcp.direct_tls_listen.clone())
        };
        let (was, is) = (&self.edge.auth, &other.edge.auth);
        let sections = [
            ("node", self.node != other.node),
            ("log.format", self.log.format != other.log.format),
            ("edge.tcp", ports(self) != ports(other)),
            (
                "edge.auth.failures_per_account_max",
                was.failures_per_account_max != is.failures_per_account_max,
            ),
            (
                "edge.auth.failures_per_address_max",
                was.failures_per_address_max != is.failures_per_address_max,
            ),
            ("edge.auth.lockout", was.lockout != is.lockout),
            ("session", self.session != other.session),
            ("store", self.store != other.store),
            ("cluster", self.cluster != other.cluster),
            ("link", self.link != other.link),
            ("admin", self.admin != other.admin),
            ("api", self.api != other.api),
            ("traces", self.traces != other.traces),
        ];
        let changed = sections.into_iter().filter(|(_, is_changed)| *is_changed);
        changed.map(|(section, _)| section).collect()
    }
}

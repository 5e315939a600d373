//! The grammar of the command line, and its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::password::Source;

const AFTER: &str = "\
Examples:
  starling                                serve \"localhost\", data in ./data
  starling user add alice@localhost       add a user; asks for the password
  starling status                         how is the node?
  starling config default > starling.toml
  starling serve --config starling.toml --data /var/lib/starling

Exit codes:
  0  done
  1  it failed
  2  the command line is wrong
  3  the configuration is wrong
  4  no node is running, or it cannot be reached
  5  there is no such account, session or node
  6  the account exists already
  7  an import left out some lines

Environment:
  STARLING_DATA, STARLING_CONFIG   as --data and --config
  STARLING_<SECTION>__<KEY>        override a key of the configuration, as in
                                   STARLING_LOG__LEVEL=debug
  STARLING_HOST__<LABEL>__NAME     what the label stands for: with
                                   STARLING_HOST__MAIN__NAME=example.org,
                                   STARLING_HOST__MAIN__CERTIFICATE is that of
                                   [host.\"example.org\"]";

/// An XMPP server.
///
/// Without a command, starling serves. Every other command but "config" speaks
/// to the running node through a Unix socket in its data folder, so give it the
/// same --data (and --config, if the socket was moved) as the node.
#[derive(Debug, Parser)]
#[command(name = "starling", version, max_term_width = 100, after_long_help = AFTER)]
pub struct Arguments {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become help")]
    pub global: Global,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "its comment would become help")]
    pub command: Option<Command>,
}

#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file; without one every key has its default
    #[arg(
        long,
        short,
        global = true,
        env = "STARLING_CONFIG",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// Folder of everything the node keeps
    #[arg(
        long,
        short,
        global = true,
        env = "STARLING_DATA",
        value_name = "FOLDER",
        default_value = "data"
    )]
    pub data: PathBuf,
    /// Print JSON for scripts: an object, or one object a line for lists
    #[arg(long, global = true)]
    pub json: bool,
}

#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until told to stop
    ///
    /// SIGTERM or Ctrl-C ends the node after letting its clients go, at most
    /// for edge.tcp.drain_timeout. SIGHUP reads the configuration and the
    /// certificates again. Mistakes in the configuration are told all at once,
    /// before a port is opened.
    Serve,
    /// Add, change, list and remove the users of the running node
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// List and end the sessions of the running node
    Session {
        #[command(subcommand)]
        command: SessionCommand,
    },
    /// Show and check the configuration; needs no running node
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Tell how the running node is
    Status,
    /// Write a consistent copy of the store while the node goes on serving
    ///
    /// To restore, stop the node and put the copy in place of "starling.redb"
    /// in its data folder.
    Backup {
        /// File to write; it must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Tell how the cluster is; make the certificates of its nodes
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Take a node of the cluster out of service, and back in
    Node {
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// Find the shard of a user, move a shard to another node
    Shard {
        #[command(subcommand)]
        command: ShardCommand,
    },
    /// Print completions for a shell
    ///
    /// For bash: source <(starling completions bash)
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Tell how the cluster is, as the running node sees it
    ///
    /// Nodes with their roles, versions, shards, clients and sessions; what moves;
    /// who is silent. LAG is the age of the oldest write that a node has under
    /// way, ANSWER the time in which it told all this.
    Status,
    /// Make the certificate by which a node is known to the others; needs no
    /// running node
    ///
    /// The first call makes the authority of the cluster as well, ca.crt and
    /// ca.key. Every node needs ca.crt, its own certificate and its own key.
    Cert {
        /// Name of the cluster, as in cluster.name
        cluster: String,
        /// Name of the node, as in node.name
        node: String,
        /// What the node may do; may be given more than once
        #[arg(long, value_enum, required = true)]
        role: Vec<CertRole>,
        /// Folder of the cluster's certificates
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        out: PathBuf,
    },
}

/// Whether to wait for what was asked.
#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Clone, Copy, Args)]
pub struct Wait {
    /// Do not wait until it is done
    #[arg(long)]
    pub no_wait: bool,
}

#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Move every shard and every client away from a node
    ///
    /// Shards move one after the other while they are served. An edge takes no
    /// new clients and lets those it has go in waves; they come back at others.
    /// It stays so, also after a restart, until the node is undrained.
    Drain {
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Let a drained node have shards and clients again
    Undrain {
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: String,
    },
    /// Give a node up that is gone for ever: others take its shards at once
    ///
    /// A session node that still runs is stopped by this. Drain it instead if
    /// there is time.
    Remove {
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Subcommand)]
pub enum ShardCommand {
    /// Tell which shard a user is in, and which node has it
    Of {
        /// Address of the user
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Move a shard to a node while it is served
    Move {
        /// Number of the shard, 0 to 1023
        #[arg(value_name = "SHARD")]
        shard: u32,
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: String,
        #[command(flatten)]
        wait: Wait,
    },
}

/// What a certificate allows.
#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum CertRole {
    /// Hold the sockets of clients
    Edge,
    /// Own accounts
    Session,
    /// Administer accounts at other nodes, from the socket of this one
    Api,
}

#[allow(
    missing_docs,
    rustdoc::invalid_html_tags,
    reason = "comments become help"
)]
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user
    ///
    /// The password is asked for, or read from standard input or a file. It is
    /// never an argument, because other users of the machine can see those.
    #[command(after_help = "Examples:\n  starling user add alice@example.org\n  \
        pwgen 16 1 | tee /dev/stderr | starling user add alice@example.org")]
    Add {
        /// Address of the user, as in alice@example.org
        #[arg(value_name = "ADDRESS")]
        account: String,
        #[command(flatten)]
        password: Source,
    },
    /// Give a user a new password
    ///
    /// Sessions go on; tokens of the old password stop working.
    Passwd {
        /// Address of the user
        #[arg(value_name = "ADDRESS")]
        account: String,
        #[command(flatten)]
        password: Source,
    },
    /// List users in the order of their addresses
    List {
        /// Only users of this host
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// Only users after this address: where the page before ended
        #[arg(long, value_name = "ADDRESS")]
        after: Option<String>,
        /// At most so many
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u32>,
    },
    /// Show what is known of a user
    Show {
        /// Address of the user
        #[arg(value_name = "ADDRESS")]
        account: String,
    },
    /// Forbid a user to log in and end the user's sessions; nothing is lost
    Disable {
        /// Address of the user
        #[arg(value_name = "ADDRESS")]
        account: String,
    },
    /// Allow a disabled user to log in again
    Enable {
        /// Address of the user
        #[arg(value_name = "ADDRESS")]
        account: String,
    },
    /// Say how long a user's archive is kept, or erase it
    ///
    /// Without options it tells what holds. What is erased is hidden at once and
    /// leaves the disk soon after; what still waits for the user stays. Copies
    /// that clients and other users have are theirs.
    #[command(
        after_help = "Examples:\n  starling user archive alice@example.org --keep-days 30\n  \
        starling user archive alice@example.org --erase"
    )]
    Archive {
        /// Address of the user
        #[arg(value_name = "ADDRESS")]
        account: String,
        /// Keep messages for so many days; 0 keeps them for ever
        #[arg(long, value_name = "NUMBER")]
        keep_days: Option<u32>,
        /// Keep messages for as long as the configuration says
        #[arg(long, conflicts_with = "keep_days")]
        keep_as_host: bool,
        /// Erase what is in the archive
        #[arg(long)]
        erase: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Remove a user with everything stored: roster, messages, vCard
    Remove {
        /// Address of the user
        #[arg(value_name = "ADDRESS")]
        account: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Add many users at once from a file
    ///
    /// A line is an address, white space, and a password, which reaches to the
    /// end of the line; or SCRAM verifiers taken over from another server,
    /// separated by spaces, each written as
    ///
    ///   SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
    ///
    /// with SHA-1, SHA-256 or SHA-512, and base64 for salt and keys. Empty
    /// lines and lines that begin with # are left out. Users that exist are
    /// left as they are and reported, so an import can be run again.
    #[command(after_help = "Examples:\n  starling user import users.txt\n  \
        zcat users.txt.gz | starling user import -")]
    Import {
        /// File to read, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List sessions
    List {
        /// Only sessions of this user or host
        #[arg(value_name = "ADDRESS|HOST")]
        of: Option<String>,
        /// At most so many
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u32>,
    },
    /// End a session (user@host/resource) or all sessions of a user (user@host)
    Kick {
        /// Which
        #[arg(value_name = "ADDRESS")]
        jid: String,
    },
}

#[allow(missing_docs, reason = "comments become help")]
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every key with its explanation and default
    Default,
    /// Check the configuration and the files it names; tell every mistake
    ///
    /// What can be used and will trouble clients all the same is told too, and
    /// is no mistake: a certificate that is not for its host, has ended, or
    /// will within two weeks.
    Check,
    /// Print the configuration in force, after file and environment
    Show,
}

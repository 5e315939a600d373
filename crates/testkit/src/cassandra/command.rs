//! The command line of one node.

use std::process::Command;

use super::settings::Settings;

/// Heap of one node: it takes about 0.85 GB of memory with it.
const HEAP_MIB: u32 = 512;

/// What it may become: each table of a keyspace takes memory for as long as the
/// node lives, and so does a little of every partition that is written.
const HEAP_MAX_MIB: u32 = 2_048;

/// All that one gets that is only there to be logged in to.
const HEAP_SECURED_MIB: u32 = 512;

/// Starts the program that follows, tells its number, and ends it when its own
/// standard input is closed, with the data: nobody is left who could want it. The
/// background half needs that input by another number, because a shell gives its
/// background jobs none.
const KEEPER: &str = r#"
exec 3<&0
log=$1 data=$2; shift 2
"$@" </dev/null >>"$log" 2>&1 3<&- &
pid=$!
echo $pid
exec >/dev/null 2>&1
{
  cat; trap '' TERM
  kill -s KILL $pid || exit
  while kill -0 $pid; do sleep 0.1; done
  rm -rf "$data"; rmdir "$(dirname "$data")"
} <&3 &
keeper=$!
wait $pid
kill $keeper
"#;

/// Modules of Java 17 whose inner packages Cassandra uses.
const EXPORTS: [&str; 10] = [
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
    "jdk.compiler/com.sun.tools.javac.file",
];

/// The same, for reflection.
const OPENS: [&str; 15] = [
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.nio",
    "jdk.management/com.sun.management.internal",
];

/// The shell that keeps the node.
pub(super) fn shell(settings: &Settings) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", KEEPER, "sh"]);
    shell.arg(settings.log()).arg(&settings.folder).arg("java");
    shell.args(arguments(settings));
    shell
}

/// The node by itself: who starts it sees to its end.
pub(super) fn alone(settings: &Settings) -> Command {
    let mut java = Command::new("java");
    java.args(arguments(settings));
    java
}

/// What Java is told.
fn arguments(settings: &Settings) -> Vec<String> {
    let conf = settings.conf();
    let (jars, folder) = (settings.jars.display(), settings.folder.display());
    let (heap, heap_max) = match settings.security {
        None => (HEAP_MIB, HEAP_MAX_MIB),
        Some(_) => (HEAP_SECURED_MIB / 2, HEAP_SECURED_MIB),
    };
    let mut all = vec![
        format!("-Xms{heap}m"),
        format!("-Xmx{heap_max}m"),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-Djdk.attach.allowAttachSelf=true".to_owned(),
    ];
    for export in EXPORTS {
        all.extend(["--add-exports".to_owned(), format!("{export}=ALL-UNNAMED")]);
    }
    for open in OPENS {
        all.extend(["--add-opens".to_owned(), format!("{open}=ALL-UNNAMED")]);
    }
    all.extend([
        format!(
            "-Dcassandra.config=file://{}/cassandra.yaml",
            conf.display()
        ),
        format!("-Dcassandra.storagedir={folder}"),
        format!("-Dcassandra.jmx.local.port={}", settings.jmx),
        "-Dcassandra-foreground=yes".to_owned(),
        "-Dcassandra.ring_delay_ms=100".to_owned(),
        "-Dcassandra.skip_wait_for_gossip_to_settle=0".to_owned(),
    ]);
    if settings.is_throwaway {
        // Does not write its system tables to disk at every change of a schema.
        all.push("-Dcassandra.unsafesystem=true".to_owned());
    }
    if settings.security.is_some() {
        // The first user is there at once, and passwords are checked quickly.
        all.push("-Dcassandra.superuser_setup_delay_ms=0".to_owned());
        all.push("-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4".to_owned());
    }
    all.push("-cp".to_owned());
    all.push(format!("{}:{jars}/*", conf.display()));
    all.push("org.apache.cassandra.service.CassandraDaemon".to_owned());
    all
}

//! The command line of one node.

use std::process::Command;

use super::settings::Settings;

/// Heap of one node: it takes about 0.85 GB of memory with it.
const HEAP_MIB: u32 = 512;

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
    let conf = settings.conf();
    let (jars, folder) = (settings.jars.display(), settings.folder.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", KEEPER, "sh"]);
    shell.arg(settings.log()).arg(&settings.folder).arg("java");
    shell
        .arg(format!("-Xms{HEAP_MIB}m"))
        .arg(format!("-Xmx{HEAP_MIB}m"));
    shell.args([
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djdk.attach.allowAttachSelf=true",
    ]);
    for export in EXPORTS {
        shell.args(["--add-exports", &format!("{export}=ALL-UNNAMED")]);
    }
    for open in OPENS {
        shell.args(["--add-opens", &format!("{open}=ALL-UNNAMED")]);
    }
    shell.arg(format!(
        "-Dcassandra.config=file://{}/cassandra.yaml",
        conf.display()
    ));
    shell.arg(format!("-Dcassandra.storagedir={folder}"));
    shell.arg(format!("-Dcassandra.jmx.local.port={}", settings.jmx));
    shell.args([
        "-Dcassandra-foreground=yes",
        "-Dcassandra.ring_delay_ms=100",
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    ]);
    if settings.is_throwaway {
        // Does not write its system tables to disk at every change of a schema.
        shell.arg("-Dcassandra.unsafesystem=true");
    }
    shell.arg("-cp").arg(format!("{}:{jars}/*", conf.display()));
    shell.arg("org.apache.cassandra.service.CassandraDaemon");
    shell
}

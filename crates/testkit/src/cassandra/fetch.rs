//! Apache Cassandra's jars, copied out of Maven's repository once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{SKIP, VARIABLE, write};

/// The release that tests run against.
const VERSION: &str = "5.0.6";

/// The folder with the jars; fetches them the first time.
///
/// # Errors
/// When Java or Maven are missing or nothing can be fetched, with what to do
/// about it.
pub fn fetch() -> io::Result<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache");
    let jars = cache.join(format!("cassandra-{VERSION}"));
    need(
        "java",
        "-version",
        "Java 17 (Debian: openjdk-17-jre-headless)",
    )?;
    if jars.is_dir() {
        return jars.canonicalize();
    }
    need("mvn", "--version", "Maven (Debian: maven)")?;
    // Two that fetch at once must not see half of it: each fetches into a folder
    // of its own, and the last to move it into place finds it there.
    let work = cache.join(format!("cassandra-{VERSION}-{}", std::process::id()));
    fs::create_dir_all(&work)?;
    write(&work.join("pom.xml"), &pom())?;
    let status = Command::new("mvn")
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DoutputDirectory=lib",
        ])
        .current_dir(&work)
        .stdin(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(missing(
            "Apache Cassandra, which Maven cannot fetch from here",
        ));
    }
    if fs::rename(work.join("lib"), &jars).is_err() && !jars.is_dir() {
        return Err(io::Error::other(format!(
            "cannot create {}",
            jars.display()
        )));
    }
    fs::remove_dir_all(&work)?;
    jars.canonicalize()
}

fn need(program: &str, argument: &str, name: &str) -> io::Result<()> {
    let found = Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => Err(missing(name)),
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::other(format!(
        "tests of the CQL store need {name}. Without it leave them out: {VARIABLE}={SKIP} with \
         cargo test, --skip cql with cargo xtask test. A running database can be named in \
         {VARIABLE} instead, as in 127.0.0.1:9042"
    ))
}

fn pom() -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">
  <modelVersion>4.0.0</modelVersion>
  <groupId>im.starling</groupId>
  <artifactId>cassandra</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"
    )
}

//! What one node is told: its `cassandra.yaml` and its log settings. Small
//! memory, a quick start, and `commitlog_sync: batch`, which the promise that
//! nothing acknowledged is lost depends on.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::secured::Security;
use super::write;

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The cluster's name: nodes of another one are refused.
    pub(super) name: String,
    /// Everything the node writes.
    pub(super) folder: PathBuf,
    /// The program.
    pub(super) jars: PathBuf,
    pub(super) address: Ipv4Addr,
    pub(super) cql: u16,
    pub(super) storage: u16,
    pub(super) jmx: u16,
    /// Whether its schema need not survive it.
    pub(super) is_throwaway: bool,
    /// Whom it lets in; everybody without it.
    pub(super) security: Option<Security>,
}

impl Settings {
    /// Where its settings are.
    pub(super) fn conf(&self) -> PathBuf {
        self.folder.join("conf")
    }

    /// Where it writes what it has to say.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Writes the settings; data of an earlier start stays.
    pub(super) fn write(&self) -> io::Result<()> {
        let conf = self.conf();
        fs::create_dir_all(&conf)?;
        write(&conf.join("cassandra.yaml"), &self.yaml())?;
        write(&conf.join("logback.xml"), LOGBACK)
    }

    fn yaml(&self) -> String {
        let Settings {
            name,
            address,
            cql,
            storage,
            ..
        } = self;
        let folder = self.folder.display();
        let security = self.security.as_ref().map(Security::yaml);
        let security = security.unwrap_or_default();
        format!(
            "cluster_name: '{name}'
num_tokens: 16
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: \"127.0.0.1:{storage}\"
listen_address: {address}
rpc_address: {address}
native_transport_port: {cql}
storage_port: {storage}
data_file_directories: ['{folder}/data']
commitlog_directory: '{folder}/commitlog'
hints_directory: '{folder}/hints'
saved_caches_directory: '{folder}/caches'
cdc_raw_directory: '{folder}/cdc'
commitlog_sync: batch
commitlog_segment_size: 8MiB
memtable_heap_space: 128MiB
memtable_offheap_space: 128MiB
file_cache_size: 32MiB
auto_snapshot: false
auto_bootstrap: false
{security}"
        )
    }
}

/// Without this it logs at DEBUG.
const LOGBACK: &str = "<configuration>
  <appender name=\"OUT\" class=\"ch.qos.logback.core.ConsoleAppender\">
    <encoder><pattern>%-5level %date{ISO8601} %logger{20} %msg%n</pattern></encoder>
  </appender>
  <root level=\"WARN\"><appender-ref ref=\"OUT\"/></root>
</configuration>
";

-- Prosody as starling-check drives it: what its documentation advises, the
-- modules that keep messages, no limits, and as little of the rest as goes.
run_as_root = true
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = { warn = "{folder}/prosody.log" }

interfaces = { "127.0.0.1" }
c2s_ports = {}
c2s_direct_tls_ports = { {port} }
s2s_ports = {}
modules_disabled = { "s2s" }
ssl = { certificate = "{folder}/server.crt", key = "{folder}/server.key" }

modules_enabled = {
	"blocklist"; "carbons"; "csi_simple"; "disco"; "mam"; "pep"; "register_ibr";
	"roster"; "saslauth"; "smacks"; "tls";
}
allow_registration = true
authentication = "internal_hashed"

-- "sql" commits each message to SQLite, which syncs it (synchronous=FULL is its
-- default), before the stanza counts as handled. "internal" is the default of
-- the package: files that are written and not synced.
storage = "{storage}"
sql = { driver = "SQLite3"; database = "{folder}/prosody.sqlite" }
default_archive_policy = true
archive_expires_after = "never"
-- As long as starling-check asks for; Prosody does not read the client's wish.
smacks_hibernation_time = {resume_seconds}
smacks_max_queue_size = 100000

VirtualHost "localhost"

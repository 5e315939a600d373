//! The program `starling`: a list of steps.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use starling_link::Sampler;
use starling_server::cli::{self, Arguments, Command, Exit, Global};
use starling_server::config::{self, Environment, Loaded};
use starling_server::signals::{Request, Signals};
use starling_server::{Node, banner, files, spans};
use starling_telemetry::{Exporter, Metrics};

// A node lives for months: jemalloc gives memory back where glibc's keeps it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    let done = match command {
        None | Some(Command::Serve) => serve(&global),
        Some(command) => run(cli::run(&global, command)).and_then(|done| done),
    };
    done.unwrap_or_else(|error| cli::tell(&error)).into()
}

/// Arguments, configuration, logs, ports and store and roles, run, drain.
fn serve(global: &Global) -> anyhow::Result<Exit> {
    let config = load(global)?.config;
    let log = starling_telemetry::init(&config.log)?;
    // Without anybody to ask for them, nothing is counted.
    let metrics = config.api.http.listen.map(|_| Metrics::install());
    let metrics = metrics.transpose()?;
    starling_server::metrics::describe();
    files::raise_limit(config.edge.limits.connections_max);
    #[cfg(debug_assertions)]
    arm_failpoint()?;
    run(async {
        let mut signals = Signals::new().context("cannot listen to signals")?;
        let traces = Exporter::start(&config.traces, &config.node.name, env!("CARGO_PKG_VERSION"))?;
        let (sampler, traces) = match traces {
            Some((exporter, stop)) => (spans::sampler(exporter, &config.traces), Some(stop)),
            None => (Sampler::default(), None),
        };
        let builder = Node::builder()
            .config(config)
            .metrics(metrics)
            .sampler(sampler)
            .data(&global.data);
        let mut node = builder.start().await?;
        // Standard output may be closed; the node serves all the same.
        let program = std::env::args_os().next();
        let program = program.unwrap_or_else(|| "starling".into());
        let text = banner(&node, &program, &global.data);
        let _ = std::io::stdout().write_all(text.as_bytes());
        tracing::info!("serving");
        loop {
            let request = tokio::select! {
                request = signals.next() => request,
                error = node.failed() => return Err(error),
            };
            match request {
                Request::Reload => reload(global, &mut node, &log),
                Request::Stop => break,
            }
        }
        tracing::info!("stopping; once more ends it at once");
        tokio::select! {
            stopped = node.stop() => stopped?,
            () = signals.stop() => anyhow::bail!("ended before every client was let go"),
        }
        if let Some(traces) = traces {
            traces.stop().await;
        }
        tracing::info!("stopped");
        Ok(Exit::Done)
    })?
}

/// Where a test wants this process to end; see `starling_session::failpoint`.
#[cfg(debug_assertions)]
fn arm_failpoint() -> anyhow::Result<()> {
    let wanted = std::env::var_os("STARLING_FAILPOINT");
    let is_known = wanted.as_ref().is_none_or(|wanted| {
        wanted
            .to_str()
            .is_some_and(starling_session::failpoint::arm)
    });
    anyhow::ensure!(is_known, "there is no failpoint {wanted:?}");
    Ok(())
}

/// A mistake changes nothing: the node goes on with what it has.
fn reload(global: &Global, node: &mut Node, log: &starling_telemetry::Handle) {
    let done = load(global)
        .map_err(anyhow::Error::from)
        .and_then(|loaded| {
            let settings = loaded.config.log.clone();
            node.reload(loaded.config)?;
            // Last: what can be refused has not been, so nothing is half done.
            log.reload(&settings)?;
            Ok(())
        });
    match done {
        Ok(()) => tracing::info!("configuration and certificates read again"),
        Err(error) => tracing::error!("nothing was changed: {error:#}"),
    }
}

fn load(global: &Global) -> Result<Loaded, config::Problems> {
    config::load(global.config.as_deref(), &Environment::of_process())
}

fn run<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    Ok(runtime.block_on(work))
}

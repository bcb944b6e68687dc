//! What the example servers share: flags, configuration, stores and the host's own pages.
//! Nothing in here knows a web framework.

mod config;
mod flags;
mod host;
mod key_file;
mod page;
mod setup;
mod signals;
mod stores;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub(crate) use config::InvalidConfig;
pub(crate) use flags::Flags;
pub(crate) use host::{Incoming, Site};
pub(crate) use page::Page;
pub(crate) use setup::Demo;
pub(crate) use signals::Signals;

/// Why a server did not start or could not go on: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0} (try --help)")]
    Usage(#[from] lexopt::Error),
    #[error("{file}: {problem}")]
    Config { file: String, problem: InvalidConfig },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Config { .. } => ExitCode::from(2),
            Self::Listen { .. } | Self::Io(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs `serve` with what the command line says, until it is told to stop.
pub(crate) fn main<F>(serve: impl FnOnce(Flags) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    log_to_stderr();
    match run(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "this is the one line that says what is wrong")]
            {
                eprintln!("{failure}");
            }
            failure.exit_code()
        }
    }
}

fn run<F>(serve: impl FnOnce(Flags) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let Some(flags) = Flags::from_env()? else { return Ok(()) };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = flags.workers {
        runtime.worker_threads(workers);
    }
    runtime.enable_all().build()?.block_on(serve(flags))
}

fn log_to_stderr() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let colours = io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
}

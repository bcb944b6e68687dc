//! The command line.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use lexopt::prelude::*;

use super::Failure;
use super::config::{Config, InvalidConfig};
use super::setup::local_url;

const HELP: &str = "\
An OAuth 2.0 authorization server for trying things out.

    --config FILE        clients, users and settings; a built-in configuration unless given
    --listen ADDR:PORT   where to listen; 127.0.0.1:8080 unless given, port 0 for a free one
    --workers N          runtime threads; one per processor unless given
    --help               this text

SIGHUP reads FILE again. RUST_LOG sets what is logged to stderr.
";

const BUILT_IN: &str = include_str!("built_in.toml");
const MOST_WORKERS: usize = 512;

/// What the command line says.
pub(crate) struct Flags {
    pub(crate) listen: SocketAddr,
    pub(crate) workers: Option<usize>,
    config: Option<PathBuf>,
}

impl Flags {
    /// Reads the command line. `None`: it asks for help, and has got it.
    pub(super) fn from_env() -> Result<Option<Self>, Failure> {
        let mut flags = Self { listen: (Ipv4Addr::LOCALHOST, 8080).into(), workers: None, config: None };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("config") => flags.config = Some(parser.value()?.into()),
                Long("listen") => {
                    flags.listen = address(&parser.value()?)?;
                }
                Long("workers") => {
                    flags.workers = Some(worker_count(&parser.value()?)?);
                }
                Long("help") | Short('h') => {
                    say(HELP);
                    return Ok(None);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(flags))
    }

    /// Reads the configuration: again on each call.
    pub(crate) fn load_config(&self) -> Result<Config, Failure> {
        let text = match &self.config {
            None => BUILT_IN.to_owned(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| self.invalid_config(error.into()))?,
        };
        let config = Config::parse(&text).map_err(|error| self.invalid_config(error))?;
        Ok(Config { is_built_in: self.config.is_none(), ..config })
    }

    pub(crate) fn invalid_config(&self, problem: InvalidConfig) -> Failure {
        let file = self
            .config
            .as_ref()
            .map_or_else(|| "the built-in configuration".to_owned(), |path| path.display().to_string());
        Failure::Config { file, problem }
    }

    /// Says that requests are accepted at `address`, and what to try.
    pub(crate) fn announce(&self, address: SocketAddr) {
        let mut text = format!("listening on http://{address}\n");
        if self.config.is_none() {
            let url = local_url(address);
            let port = address.port();
            text += &format!(
                "curl -u reports:reports-secret -d grant_type=client_credentials {url}/oauth/token\n\
                 or sign in as alice, password wonderland:\n\
                 {url}/oauth/authorize?response_type=code&client_id=webapp&state=demo\
                 &redirect_uri=http%3A%2F%2F127.0.0.1%3A{port}%2Fcallback\
                 &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\n"
            );
        }
        say(&text);
    }
}

fn address(value: &OsString) -> Result<SocketAddr, lexopt::Error> {
    let address = value.to_str().and_then(|text| text.parse().ok());
    address.ok_or_else(|| format!("--listen: {value:?} is not ADDR:PORT").into())
}

fn worker_count(value: &OsString) -> Result<usize, lexopt::Error> {
    let count = value.to_str().and_then(|text| text.parse().ok());
    count
        .filter(|count| (1..=MOST_WORKERS).contains(count))
        .ok_or_else(|| format!("--workers: {value:?} is not a number from 1 to {MOST_WORKERS}").into())
}

/// Writes to stdout. Nobody may be listening there, which is no reason to stop.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

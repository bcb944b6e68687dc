//! What a request for a token costs over HTTP: servers in processes of their own, a client that
//! sends as fast as it gets answers.

mod load;
mod process;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use load::{CONNECTIONS, Load};
use process::Process;

const ID: &str = "reports";
const SECRET: &str = "reports-secret-0123456789-abcdefghij";
const SCOPE: &str = "orders.read";

/// The servers that are measured; the first is what the others are compared with.
const SIDES: [Side; 7] = [
    Side { name: "hyper, a constant", path: "/oauth/token", start: |paths| own(paths, "constant") },
    Side { name: "grantor on hyper", path: "/oauth/token", start: |paths| example(paths, "hyper") },
    Side { name: "grantor on axum", path: "/oauth/token", start: |paths| example(paths, "axum") },
    Side { name: "grantor on actix", path: "/oauth/token", start: |paths| example(paths, "actix") },
    Side { name: "oauth-as on hyper", path: "/token", start: |paths| own(paths, "oauth-as") },
    Side { name: "node-oidc-provider", path: "/token", start: oidc_provider },
    Side { name: "Authlib on gunicorn", path: "/oauth/token", start: authlib },
];

struct Side {
    name: &'static str,
    path: &'static str,
    /// Installs what is missing; says why that failed.
    start: fn(&Paths) -> Result<Command, String>,
}

struct Paths {
    peers: PathBuf,
    target: PathBuf,
}

/// What was found out about one server.
pub struct Served {
    pub name: &'static str,
    /// Processor time of the server, ns a request.
    pub cpu: f64,
    /// The same, divided by that of the constant.
    pub ratio: f64,
    rate: f64,
    latency: [Duration; 3],
    tokens: u64,
    grown: u64,
    /// Resident, before the first request.
    began: u64,
}

/// Measures all that are to be had; gives one line for each, and one for what was left out.
///
/// Of `only` these, and the constant, unless it is empty.
pub fn rows(quick: bool, only: &[String], say: &mut impl FnMut(String)) -> Vec<Served> {
    let peers = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let paths = Paths { target: peers.join("target/others"), peers };
    std::fs::create_dir_all(&paths.target).unwrap();
    process::keep_to_processor(1);
    let mut skipped = Vec::new();
    let mut running = Vec::new();
    let wanted = |side: &&Side| {
        only.is_empty()
            || side.name == SIDES[0].name
            || only.iter().any(|part| side.name.contains(part.as_str()))
    };
    for side in SIDES.iter().filter(wanted) {
        match (side.start)(&paths).and_then(Process::start) {
            Ok(process) => running.push((side, Load::new(&process.address, side.path), process)),
            Err(reason) => skipped.push(format!("Skipped {}: {reason}.", side.name)),
        }
    }
    let (rounds, length, most) =
        if quick { (2, Duration::from_millis(700), 20_000) } else { (7, Duration::from_secs(2), 1_000_000) };

    let began: Vec<u64> = running.iter().map(|(.., process)| process.resident()).collect();
    for (_, load, _) in &running {
        load.send_for(length / 2);
    }
    let mut cpu = vec![Vec::new(); running.len()];
    let mut rate = vec![Vec::new(); running.len()];
    let mut latency = vec![Vec::new(); running.len()];
    for _ in 0..rounds {
        for (at, (_, load, process)) in running.iter().enumerate() {
            let before = process.cpu();
            let sent = load.send_for(length);
            cpu[at].push((process.cpu() - before).as_nanos() as f64 / sent.len() as f64);
            rate[at].push(sent.len() as f64 / length.as_secs_f64());
            latency[at].extend(sent);
        }
    }
    let mut all = Vec::new();
    for (at, (side, load, process)) in running.iter().enumerate() {
        // The slow ones get as far as they get.
        let deadline = std::time::Instant::now() + 30 * length;
        while load.sent() < most && std::time::Instant::now() < deadline {
            load.send_for(length / 4);
        }
        let ratios = cpu[at].iter().zip(&cpu[0]).map(|(own, constant)| own / constant).collect();
        let mut latency = std::mem::take(&mut latency[at]);
        latency.sort_unstable();
        let of = |part: f64| latency[((latency.len() - 1) as f64 * part) as usize];
        all.push(Served {
            name: side.name,
            cpu: median(cpu[at].clone()),
            ratio: median(ratios),
            rate: median(rate[at].clone()),
            latency: [of(0.5), of(0.99), of(0.999)],
            tokens: load.sent(),
            grown: process.resident().saturating_sub(began[at]),
            began: began[at],
        });
    }
    say(format!(
        "A token for client credentials, {CONNECTIONS} connections, server and client on a processor each.\n"
    ));
    say("| server | CPU a request, µs | ÷ constant | requests/s | p50, ms | p99, ms | p99.9, ms | at start, MiB | grown by, MiB | after, tokens |".to_owned());
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|".to_owned());
    for served in &all {
        say(served.row());
    }
    for line in skipped {
        say(format!("\n{line}"));
    }
    all
}

impl Served {
    fn row(&self) -> String {
        let [p50, p99, p999] = self.latency.map(|latency| latency.as_secs_f64() * 1e3);
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!(
            "| {} | {:.1} | **{:.2}** | {:.0} | {p50:.2} | {p99:.2} | {p999:.2} | {:.0} | {:.0} | {} |",
            self.name,
            self.cpu / 1e3,
            self.ratio,
            self.rate,
            mib(self.began),
            mib(self.grown),
            self.tokens,
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One of `bin/serve.rs`.
fn own(paths: &Paths, which: &str) -> Result<Command, String> {
    let target = paths.target.join("serve");
    let mut build = Command::new("cargo");
    build
        .args(["build", "--release", "--quiet", "--locked", "--bin", "serve", "--manifest-path"])
        .arg(paths.peers.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target);
    process::run(&mut build)?;
    let mut command = Command::new(target.join("release/serve"));
    command.args([which, ID, SECRET, SCOPE]);
    Ok(command)
}

/// Built as `bin/serve.rs` is.
fn example(paths: &Paths, name: &str) -> Result<Command, String> {
    let config = paths.target.join("grantor.toml");
    let text = format!(
        "[settings]\nrequire_https = false\nmemory_capacity = 10000000\n\n\
         [[scope]]\nname = \"{SCOPE}\"\n\n\
         [[client]]\nid = \"{ID}\"\nsecret = \"{SECRET}\"\nauth_methods = [\"client_secret_basic\"]\n\
         grants = [\"client_credentials\"]\nscopes = [\"{SCOPE}\"]\n"
    );
    std::fs::write(&config, text).unwrap();
    let target = paths.target.join("examples");
    let mut build = Command::new("cargo");
    build
        .args(["build", "--release", "--quiet", "--locked", "--all-features", "--example", name])
        .arg("--manifest-path")
        .arg(paths.peers.join("../../Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    process::run(&mut build)?;
    let mut command = Command::new(target.join("release/examples").join(name));
    command
        .args(["--workers", "1", "--listen", "127.0.0.1:0", "--config"])
        .arg(config)
        .env("RUST_LOG", "error");
    Ok(command)
}

fn oidc_provider(paths: &Paths) -> Result<Command, String> {
    let modules = paths.target.join("oidc_provider");
    let from = paths.peers.join("others/oidc_provider");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::copy(from.join("package.json"), modules.join("package.json")).unwrap();
    let mut install = Command::new("npm");
    install
        .args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&modules);
    process::run(&mut install)?;
    let mut command = Command::new("node");
    command.arg("--no-warnings").arg(from.join("server.mjs")).arg(modules).args([ID, SECRET]);
    Ok(command)
}

fn authlib(paths: &Paths) -> Result<Command, String> {
    let venv = paths.target.join("authlib");
    let from = paths.peers.join("others/authlib");
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut install = Command::new(venv.join("bin/pip"));
    install
        .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(from.join("requirements.txt"));
    process::run(&mut install)?;
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(from.join("server.py")).args([ID, SECRET]);
    Ok(command)
}

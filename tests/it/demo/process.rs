//! One run of the example server, and plain HTTP to it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

/// A server that runs until it is dropped.
pub(crate) struct Demo {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// What it has written to stdout.
    pub(crate) lines: Vec<String>,
    pub(crate) files: Files,
}

impl Demo {
    pub(crate) fn built_in() -> Self {
        Self::spawn(Files::new(), &[])
    }

    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(&[], config)
    }

    pub(crate) fn start_with(flags: &[&str], config: &str) -> Self {
        let files = Files::new();
        let path = files.config();
        fs::write(&path, config).unwrap();
        Self::spawn(files, &[flags, &["--config", path.to_str().unwrap()]].concat())
    }

    /// On another framework than hyper.
    pub(crate) fn start_on(framework: &str, config: &str) -> Self {
        Self::start_logging(framework, config, None)
    }

    /// One that logs from this level on.
    pub(crate) fn start_logging(framework: &str, config: &str, level: Option<&str>) -> Self {
        let files = Files::new();
        let path = files.config();
        fs::write(&path, config).unwrap();
        let flags = ["--listen", "127.0.0.1:0", "--config", path.to_str().unwrap()];
        let mut command = command_of(framework, &flags);
        command.envs(level.map(|level| ("RUST_LOG", level)));
        Self::run(command, files)
    }

    pub(crate) fn spawn(files: Files, flags: &[&str]) -> Self {
        Self::run(command(&[&["--listen", "127.0.0.1:0"], flags].concat()), files)
    }

    fn run(mut command: Command, files: Files) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(File::create(files.log()).unwrap()).spawn().unwrap();
        // Both lines are there once the first one is; the pipe stays open behind them.
        let mut bytes = vec![0; 1024];
        let length = child.stdout.as_mut().unwrap().read(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let address = lines.first().and_then(|line| line.strip_prefix("listening on http://"));
        let Some(address) = address.map(str::to_owned) else {
            panic!("{text}{}", fs::read_to_string(files.log()).unwrap())
        };
        Self { child, address, lines, files }
    }

    pub(crate) fn connect(&self) -> Connection {
        self.try_connect().unwrap()
    }

    /// A connection to a server that may be gone.
    pub(crate) fn try_connect(&self) -> Option<Connection> {
        let stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        Some(Connection(BufReader::new(stream)))
    }

    /// The response to `request` on a connection of its own.
    pub(crate) fn send(&self, request: &str) -> Response {
        let mut connection = self.connect();
        connection.write(request);
        connection.read()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.files.log()).unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Changes the file, and waits until the server has said what it made of it.
    pub(crate) fn reload(&self, config: &str) {
        fs::write(self.files.config(), config).unwrap();
        let outcomes = || self.log().matches("configuration").count();
        let before = outcomes();
        self.signal("HUP");
        assert!(until(|| outcomes() > before), "{}", self.log());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory for one server.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("demo-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("demo.toml")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Closes the half that requests go out on.
    pub(crate) fn say_no_more(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// The whole response, unless the server goes away before it has come.
    pub(crate) fn ask(&mut self, request: &str) -> Option<Response> {
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        let (mut head, mut line) = (String::new(), String::new());
        while line.trim_end() != "" || head.is_empty() {
            line.clear();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            head += &line;
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some(Response { status, headers: Vec::new(), body: String::from_utf8(body).ok()? })
    }

    pub(crate) fn read(&mut self) -> Response {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the connection was closed: {lines:?}");
            match line.trim_end() {
                "" => break,
                text => lines.push(text.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines[1..].iter().map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let mut response = Response { status, headers: headers.collect(), body: String::new() };
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        // A buffer of its own: an answer to HEAD has a length and no body.
        let mut body = vec![0; if lines[0].starts_with("HTTP/1.0") { 0 } else { length }];
        self.0.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    /// True once the other side has closed it, whatever it said before.
    pub(crate) fn ends(mut self) -> bool {
        self.0.read_to_end(&mut Vec::new()).is_ok()
    }

    /// True once the other side has closed it without another word.
    pub(crate) fn closes(mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|length| length == 0)
    }
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: demo\r\n\r\n")
}

/// A token request with HTTP Basic.
pub(crate) fn token(path: &str, id_and_secret: &str, form: &str) -> String {
    let credentials = base64::engine::general_purpose::STANDARD.encode(id_and_secret);
    format!(
        "POST {path} HTTP/1.1\r\nHost: demo\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

pub(crate) fn with_header(request: &str, header: &str) -> String {
    request.replacen("\r\n", &format!("\r\n{header}\r\n"), 1)
}

/// What the server says of a configuration that it does not take.
pub(crate) fn refused(config: &str) -> String {
    let files = Files::new();
    fs::write(files.config(), config).unwrap();
    let output = run(&["--listen", "127.0.0.1:0", "--config", files.config().to_str().unwrap()]);
    assert_one_line(&output, 2);
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn assert_one_line(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{output:?}");
}

/// Runs the server, which is to end by itself.
pub(crate) fn run(flags: &[&str]) -> Output {
    let files = Files::new();
    let mut child = command(flags)
        .stdout(File::create(files.config()).unwrap())
        .stderr(File::create(files.log()).unwrap())
        .spawn()
        .unwrap();
    let mut status = None;
    until(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let Some(status) = status else {
        child.kill().unwrap();
        panic!("it did not end: {flags:?}")
    };
    let read = |path| fs::read(path).unwrap();
    Output { status, stdout: read(files.config()), stderr: read(files.log()) }
}

/// Tries for ten seconds.
pub(crate) fn until(mut condition: impl FnMut() -> bool) -> bool {
    (0..1000).any(|_| {
        sleep(Duration::from_millis(10));
        condition()
    })
}

fn command(flags: &[&str]) -> Command {
    command_of("hyper", flags)
}

fn command_of(framework: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(example(framework));
    command.args(flags).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// `cargo test` builds the examples, but `cargo test --test it` does not.
fn example(framework: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    let name = Path::new("examples").join(framework).with_extension(std::env::consts::EXE_EXTENSION);
    let example = profile.join(name);
    assert!(example.exists(), "{} is missing: cargo build --examples", example.display());
    example
}

//! Throw-away `PostgreSQL` servers.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, Pool, Runtime};

/// A server with a data directory of its own.
pub(crate) struct Server {
    directory: PathBuf,
    port: u16,
    child: Child,
    options: &'static [&'static str],
}

/// Nothing here outlives the tests, so nothing waits for a disk.
const QUICK: &[&str] = &["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
const DURABLE: &[&str] = &[];

/// The one that all tests share which do not stop it. It ends with this process.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        // The server ends with the thread that has started it, so that one does not end.
        std::thread::spawn(move || {
            tell.send(Server::start(QUICK)).unwrap();
            loop {
                std::thread::park();
            }
        });
        told.recv().unwrap()
    })
}

impl Server {
    pub(crate) fn durable() -> Self {
        Self::start(DURABLE)
    }

    fn start(options: &'static [&'static str]) -> Self {
        remove_what_others_left();
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("grantor-postgres-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        give_away(&directory);
        let data = directory.join("data");
        let initialized = as_postgres(&bin("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=grantor"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(initialized.unwrap().success(), "initdb failed");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(&directory, port, options);
        let server = Self { directory, port, child, options };
        server.wait();
        server
    }

    /// The address of a database of one's own, which is empty.
    pub(crate) fn database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("grantor_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE DATABASE {name} TEMPLATE template0"), "postgres");
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://grantor@127.0.0.1:{}/{database}", self.port)
    }

    /// What `psql` prints.
    pub(crate) fn run(&self, sql: &str, database: &str) -> String {
        let output = Command::new(bin("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", sql])
            .arg(self.url(database))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// All that is in a database, as text.
    pub(crate) fn dump(&self, url: &str) -> String {
        let output = Command::new(bin("pg_dump")).args(["--inserts", url]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// As if it had crashed: nothing is finished, clients are cut off.
    pub(crate) fn stop(&mut self) {
        signal("QUIT", self.child.id());
        self.child.wait().unwrap();
    }

    /// It takes connections and answers none.
    pub(crate) fn freeze(&self, frozen: bool) {
        let children = Command::new("pgrep").args(["-P", &self.child.id().to_string()]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let all = children.lines().filter_map(|line| line.parse().ok()).chain([self.child.id()]);
        all.for_each(|process| signal(if frozen { "STOP" } else { "CONT" }, process));
    }

    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.directory, self.port, self.options);
        self.wait();
    }

    fn wait(&self) {
        for _ in 0..1000 {
            let ready = Command::new(bin("psql")).args(["-c", "SELECT 1"]).arg(self.url("postgres")).output();
            if ready.is_ok_and(|ready| ready.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        panic!("the server does not start: {log}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal("QUIT", self.child.id());
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The shared server of a run that has ended.
fn remove_what_others_left() {
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix("grantor-postgres-"));
        let process = rest.and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn spawn(directory: &Path, port: u16, options: &[&str]) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let mut command = as_postgres(&bin("postgres"));
    command.arg("-D").arg(directory.join("data")).arg("-k").arg(directory);
    command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=400"]);
    for option in options {
        command.args(["-c", option]);
    }
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// `PostgreSQL` refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program);
    command
}

fn give_away(directory: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("postgres:postgres").arg(directory).status();
        assert!(given.unwrap().success(), "there is no user postgres; scripts/setup installs PostgreSQL");
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

fn signal(name: &str, process: u32) {
    let _ = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
}

/// Debian keeps programs of each version in a directory of its own.
pub(crate) fn bin(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name)).find(|path| path.exists());
    let in_path = || {
        let paths = std::env::var_os("PATH")?;
        std::env::split_paths(&paths).map(|path| path.join(name)).find(|path| path.exists())
    };
    found.or_else(in_path).unwrap_or_else(|| panic!("{name} is missing; scripts/setup installs PostgreSQL"))
}

/// A `pgbouncer` in front of a server, which gives a connection away after each transaction.
pub(crate) struct Proxy {
    directory: PathBuf,
    port: u16,
    child: Child,
}

impl Proxy {
    /// `None` if there is no such program here.
    pub(crate) fn start(server: &Server) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(Path::new);
        let program = program.into_iter().find(|path| path.exists())?;
        let directory = std::env::temp_dir().join(format!("grantor-pgbouncer-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=grantor\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n\
             unix_socket_dir =\nmax_client_conn = 900\nserver_idle_timeout = 1\n",
            server.port
        );
        let file = directory.join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        give_away(&directory);
        let child =
            as_postgres(program).arg("-q").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let proxy = Self { directory, port, child: child.unwrap() };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(proxy);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the proxy does not start");
    }

    pub(crate) fn url(&self, direct: &str) -> String {
        let database = direct.rsplit('/').next().unwrap();
        format!("postgres://grantor@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        signal("QUIT", self.child.id());
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Connections to a database, that tokio drives.
pub(crate) fn pool(url: &str) -> Pool {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.connect_timeout(Duration::from_secs(2));
    let manager = Manager::new(config, tokio_postgres::NoTls);
    Pool::builder(manager).max_size(16).runtime(Runtime::Tokio1).build().unwrap()
}

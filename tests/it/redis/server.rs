//! Throw-away Redis servers.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A server with a directory of its own.
pub(crate) struct Server {
    directory: PathBuf,
    port: u16,
    child: Child,
    options: Vec<&'static str>,
}

/// The one that all tests share which do not stop it. It ends with this process.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| on_a_thread_that_stays(|| Server::start(&["--appendonly", "yes"])))
}

/// Three servers that are one cluster.
pub(crate) fn cluster() -> &'static [Server; 3] {
    static CLUSTER: OnceLock<[Server; 3]> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let options = ["--appendonly", "yes", "--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
        let servers = on_a_thread_that_stays(move || [(); 3].map(|()| Server::start(&options)));
        let addresses = servers.each_ref().map(|server| format!("127.0.0.1:{}", server.port));
        let created = Command::new("redis-cli")
            .args(["--cluster", "create", "--cluster-yes"])
            .args(&addresses)
            .stdout(Stdio::null())
            .status();
        assert!(created.unwrap().success());
        for server in &servers {
            server.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
        }
        servers
    })
}

/// A server ends with the thread that has started it, so that one does not end.
fn on_a_thread_that_stays<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tell.send(start()).unwrap();
        loop {
            std::thread::park();
        }
    });
    told.recv().unwrap()
}

impl Server {
    pub(crate) fn start(options: &[&'static str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        remove_what_others_left();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("grantor-redis-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let port = free_port();
        let child = spawn(&directory, port, options);
        let server = Self { directory, port, child, options: options.to_vec() };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(command)
            .output()
            .unwrap_or_else(|_| panic!("redis-cli is missing; scripts/setup installs Redis"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// All that it has, as text.
    pub(crate) fn dump(&self) -> String {
        self.run(&["SAVE"]);
        let file = fs::read(self.directory.join("dump.rdb")).unwrap();
        String::from_utf8_lossy(&file).into_owned()
    }

    /// As if it had crashed.
    pub(crate) fn stop(&mut self) {
        signal("KILL", self.child.id());
        self.child.wait().unwrap();
    }

    /// It takes connections and answers none.
    pub(crate) fn freeze(&self, frozen: bool) {
        signal(if frozen { "STOP" } else { "CONT" }, self.child.id());
    }

    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.directory, self.port, &self.options);
        self.wait();
    }

    fn wait(&self) {
        self.wait_for(&["PING"], "PONG");
    }

    fn wait_for(&self, command: &[&str], answer: &str) {
        for _ in 0..1500 {
            if self.run(command).contains(answer) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not get ready");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal("KILL", self.child.id());
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A cluster listens at the port and 10,000 above it, too.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let low = 10_000 + port % 20_000;
        if [low, low + 10_000].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return low;
        }
    }
}

fn spawn(directory: &Path, port: u16, options: &[&str]) -> Child {
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "redis-server", "--port", &port.to_string()])
        .args(["--bind", "127.0.0.1", "--save", "", "--loglevel", "warning", "--dir"])
        .arg(directory)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(name: &str, process: u32) {
    let _ = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
}

/// The shared servers of a run that has ended.
fn remove_what_others_left() {
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix("grantor-redis-"));
        let process = rest.and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

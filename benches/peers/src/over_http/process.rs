//! A server in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Stopped when dropped.
pub struct Process {
    child: Child,
    /// `ADDR:PORT`.
    pub address: String,
}

impl Process {
    /// Waits until it says `listening on http://ADDR:PORT`.
    pub fn start(mut command: Command) -> Result<Self, String> {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = child.map_err(|error| format!("it did not start ({error})"))?;
        let on_processor = ["-a", "-p", "-c", "0", &child.id().to_string()].map(str::to_owned);
        let _ = Command::new("taskset").args(on_processor).stdout(Stdio::null()).status();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            return Err("it ended at once".to_owned());
        };
        // What else it says is not waited for.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let process = Self { child, address };
        // Threads and children that came before it was moved.
        for pid in process.pids() {
            let _ =
                Command::new("taskset").args(["-a", "-p", "-c", "0", &pid]).stdout(Stdio::null()).status();
        }
        Ok(process)
    }

    /// Of all its threads and its children's.
    pub fn cpu(&self) -> Duration {
        let mut nanos = 0;
        for pid in self.pids() {
            for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
                let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
                nanos += text.split(' ').next().and_then(|spent| spent.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Duration::from_nanos(nanos)
    }

    /// Bytes in memory.
    pub fn resident(&self) -> u64 {
        let of = |pid: String| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
        };
        self.pids().into_iter().map(of).sum()
    }

    /// Its own and its children's.
    fn pids(&self) -> Vec<String> {
        let own = self.child.id().to_string();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        std::iter::once(own).chain(children.split_whitespace().map(str::to_owned)).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// This program, and the threads that it will start.
pub fn keep_to_processor(number: usize) {
    let own = std::process::id().to_string();
    let _ = Command::new("taskset")
        .args(["-p", "-c", &number.to_string(), &own])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Runs to its end, on all processors; gives the last line of what went wrong.
pub fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{program} failed ({last})"))
}

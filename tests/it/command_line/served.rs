//! A LinkedIn, a folder with a configuration for it, and a gateway process on free ports.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::Child,
    sync::mpsc::{Receiver, RecvTimeoutError},
};

use super::*;

/// Longest wait for anything.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// LinkedIn, and a configuration that names it.
pub(super) struct World {
    pub(super) linkedin: Sandbox,
    folder: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let linkedin = Sandbox::start();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), linkedin.ca_pem()).unwrap();
        let secret = folder.path().join("secret");
        fs::write(&secret, linkedin.client_secret()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "gateway: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             linkedin: {{api_url: '{}', oauth_url: '{}', uploads_url: '{}', ca_file: ca.pem}}\n\
             applications: [{{name: default, client_id: '{}', client_secret_file: secret}}]\n",
            linkedin.tls_api_url(),
            linkedin.tls_oauth_url(),
            linkedin.tls_uploads_url(),
            linkedin.client_id(),
        );
        fs::write(folder.path().join("config.yaml"), text).unwrap();
        Self { linkedin, folder }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Signs `member` in and makes a key for it, while no gateway runs.
    pub(super) fn key(&self, member: &str) -> String {
        let imported = run(
            self.folder(),
            &["members", "import", member],
            &self.linkedin.sign_in(member).json(),
        );
        assert_eq!(imported.0, Some(0), "{imported:?}");
        let created = run(
            self.folder(),
            &["keys", "create", "app", "--member", member],
            "",
        );
        assert_eq!(created.0, Some(0), "{created:?}");
        created.1.trim().to_owned()
    }
}

/// A gateway process.
pub(super) struct Served {
    pub(super) callers: SocketAddr,
    admin: SocketAddr,
    lines: Lines,
}

impl Served {
    pub(super) fn start(world: &World) -> Self {
        Self::start_with(world, &[])
    }

    /// Starts it with more environment, and waits until it is up.
    pub(super) fn start_with(world: &World, environment: &[(&str, &str)]) -> Self {
        let mut command = linkgate(world.folder());
        command.arg("serve").envs(environment.iter().copied());
        Self::of(&mut command)
    }

    /// The same with so few file descriptors.
    pub(super) fn start_with_files(world: &World, files: u32) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$0\" serve");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_linkgate")]);
        Self::of(command.current_dir(world.folder()))
    }

    fn of(command: &mut Command) -> Self {
        let mut lines = Lines::of(command);
        let up = lines.line_with("linkgate is up");
        let address = |name: &str| {
            let found = up.split(&format!("{name}=")).nth(1).unwrap();
            found.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self {
            callers: address("callers"),
            admin: address("admin"),
            lines,
        }
    }

    pub(super) fn get(&self, path: &str, key: &str) -> Answer {
        get(self.callers, path, key)
    }

    pub(super) fn admin(&self, path: &str) -> Answer {
        get(self.admin, path, "none")
    }

    /// Asks `/readyz` until it answers `status`.
    pub(super) fn admin_until(&self, status: u16) -> Answer {
        let until = Instant::now() + LIMIT;
        loop {
            let answer = self.admin("/readyz");
            if answer.status == status {
                return answer;
            }
            assert!(Instant::now() < until, "{answer:?}");
            std::thread::yield_now();
        }
    }

    /// Seconds of processor time spent so far.
    pub(super) fn processor_secs(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.lines.child.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        // proc(5): utime and stime, in hundredths of a second.
        let ticks = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<f64>().unwrap());
        ticks.sum::<f64>() / 100.0
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.lines.signal(signal);
    }

    pub(super) fn line_with(&mut self, part: &str) -> String {
        self.lines.line_with(part)
    }

    pub(super) fn terminate(self) -> Option<i32> {
        self.lines.terminate()
    }

    /// The same, with everything it logged.
    pub(super) fn terminate_with_log(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let code = self.lines.wait();
        (code, self.lines.rest())
    }

    /// Waits for its end.
    pub(super) fn end(mut self) -> Option<i32> {
        self.lines.wait()
    }

    pub(super) fn kill(mut self) {
        self.lines.child.kill().unwrap();
        self.lines.wait();
    }
}

/// A process whose lines, of both outputs, are read as they come. Killed on drop.
pub(super) struct Lines {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Lines {
    pub(super) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let (out, told) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let other = tell.clone();
        std::thread::spawn(move || {
            BufReader::new(out)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|l| tell.send(l))
        });
        std::thread::spawn(move || {
            BufReader::new(told)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|l| other.send(l))
        });
        Self {
            child,
            lines,
            seen: String::new(),
        }
    }

    fn next(&mut self, limit: Duration) -> Result<String, RecvTimeoutError> {
        let line = self.lines.recv_timeout(limit)?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Ok(line)
    }

    /// The next line that holds `part`.
    pub(super) fn line_with(&mut self, part: &str) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.next(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {part:?} ({error}) after\n{}", self.seen),
            }
        }
    }

    /// The next line, with `again` done from time to time until it comes.
    pub(super) fn until(&mut self, again: impl Fn()) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            again();
            match self.next(Duration::from_millis(300)) {
                Ok(line) => return line,
                Err(_) => assert!(Instant::now() < until, "no line came"),
            }
        }
    }

    /// All that it ever said.
    fn rest(&mut self) -> String {
        while self.next(LIMIT).is_ok() {}
        std::mem::take(&mut self.seen)
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).unwrap();
    }

    pub(super) fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.seen);
            std::thread::sleep(Duration::from_millis(10)); // looked at again, not relied on
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Gone already, where a test saw to its end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a call was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    }
}

pub(super) fn get(address: SocketAddr, path: &str, key: &str) -> Answer {
    try_get(address, path, key).unwrap_or_else(|| panic!("no answer to {path}"))
}

pub(super) fn try_get(address: SocketAddr, path: &str, key: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nlinkedin-version: 202609\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = text(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

//! The real program: a folder with a configuration, commands that are run in it, a gateway that is killed.
//!
//! **Invariant:** a [`Served`] never outlives its story; a [`Place`] is searched for the sandbox's canary
//! when it is dropped, like every gateway of a story.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use linkgate::{incident::reader::Incidents, sandbox::Sandbox};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::{
    caller::{Connection, Reply},
    canary,
};

/// Nothing a story waits for takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder with a configuration.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    /// What the gateway keeps of its own accord, outside the folder.
    elsewhere: Vec<PathBuf>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) told: String,
}

impl Place {
    /// A configuration that names this LinkedIn, in plain text.
    pub(crate) fn before(linkedin: &Sandbox) -> Self {
        let urls = [
            linkedin.api_url(),
            linkedin.oauth_url(),
            linkedin.uploads_url(),
        ];
        Self::of(linkedin, &urls)
    }

    /// The same over TLS.
    pub(crate) fn before_tls(linkedin: &Sandbox) -> Self {
        let urls = [
            linkedin.tls_api_url(),
            linkedin.tls_oauth_url(),
            linkedin.tls_uploads_url(),
        ];
        Self::of(linkedin, &urls)
    }

    /// A configuration with these URLs of the API, the token endpoint and the upload host.
    pub(crate) fn of(linkedin: &Sandbox, [api, oauth, uploads]: &[String; 3]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), linkedin.ca_pem()).unwrap();
        let text = format!(
            "gateway:\n  listen: 127.0.0.1:0\nadmin:\n  listen: 127.0.0.1:0\n\
             linkedin:\n  api_url: {api}\n  oauth_url: {oauth}\n  uploads_url: {uploads}\n  media_url: {media}\n  ca_file: ca.pem\n\
             applications:\n  - name: default\n    client_id: '{}'\n    client_secret_env: CLIENT_SECRET\n",
            linkedin.client_id(),
            media = linkedin.media_url(),
        );
        std::fs::write(folder.path().join("config.yaml"), text).unwrap();
        let mut environment = BTreeMap::new();
        environment.insert("CLIENT_SECRET".to_owned(), linkedin.client_secret());
        Self {
            folder,
            environment,
            elsewhere: Vec::new(),
        }
    }

    /// Sets `section.key`, by the environment.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.environment.insert(variable(key), value.to_owned());
    }

    /// Sets a variable of any name.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Sets a variable that the configuration names.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes such a setting back.
    pub(crate) fn unset(&mut self, key: &str) {
        self.environment.remove(&variable(key));
    }

    /// Keeps the support log in this folder, on a disk of its own.
    pub(crate) fn with_incidents_in(mut self, folder: &Path) -> Self {
        self.elsewhere.push(folder.to_owned());
        self.with("incidents.directory", folder.to_str().unwrap())
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The support log where it stands by default.
    pub(crate) fn incidents(&self) -> Incidents {
        Incidents::open(self.path("data/incidents"))
    }

    /// The program in this folder, with nothing else in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linkgate"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may be gone already.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            out: text(&output.stdout),
            told: text(&output.stderr),
        }
    }

    /// Runs a command that must end well, and gives what it printed.
    pub(crate) fn done(&self, arguments: &[&str], input: &str) -> String {
        let ended = self.run(arguments, input);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.out
    }

    /// Signs a member in and imports the grant.
    pub(crate) fn import(&self, linkedin: &Sandbox, member: &str) {
        self.done(
            &["members", "import", member],
            &linkedin.sign_in(member).json(),
        );
    }

    /// A key for every member.
    pub(crate) fn key(&self) -> String {
        let made = self.done(&["keys", "create", "app", "--any-member"], "");
        made.trim().to_owned()
    }

    /// Starts the gateway and waits until it is up.
    pub(crate) async fn serve(&self) -> Served {
        let served = self.spawn();
        served.up().await
    }

    /// Starts the gateway; it may refuse.
    pub(crate) fn spawn(&self) -> Starting {
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (mut told, heard) = (child.stderr.take().unwrap(), Arc::clone(&said));
        let listening = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = told.read(&mut buffer) {
                heard.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Starting(Process {
            child,
            said,
            listening: Some(listening),
            logs: self.environment.get("LINKGATE__LOG__DIRECTORY").cloned(),
        })
    }
}

/// The variable that sets `section.key`.
fn variable(key: &str) -> String {
    format!("LINKGATE__{}", key.to_uppercase().replace('.', "__"))
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut leaks = canary::leaks_below(self.folder.path());
        for folder in &self.elsewhere {
            leaks.extend(canary::leaks_below(folder));
        }
        assert!(leaks.is_empty(), "the canary leaked: {leaks:?}");
    }
}

struct Process {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    listening: Option<std::thread::JoinHandle<()>>,
    /// Where its operations log goes, if not to standard error.
    logs: Option<String>,
}

impl Process {
    /// Everything it has said so far, on standard error and in its log files.
    fn said(&self) -> String {
        let mut said = String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned();
        let files = self.logs.as_ref().map(std::fs::read_dir);
        for file in files.into_iter().flatten().flatten().flatten() {
            said.push_str(&std::fs::read_to_string(file.path()).unwrap_or_default());
        }
        said
    }

    async fn ended(&mut self) -> ExitStatus {
        let limit = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < limit,
                "it does not end:\n{}",
                tail(&self.said())
            );
            sleep(Duration::from_millis(2)).await; // looked at again, not relied on
        };
        if let Some(listening) = self.listening.take() {
            listening.join().unwrap();
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already, where the story saw to its end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(4_000);
    text.get(from..).unwrap_or(text)
}

/// A gateway that was started.
pub(crate) struct Starting(Process);

impl Starting {
    /// Waits until it is up.
    pub(crate) async fn up(self) -> Served {
        let mut process = self.0;
        let limit = Instant::now() + LIMIT;
        let line = loop {
            let said = process.said();
            let up = |line: &&str| line.contains("linkgate is up") && line.contains("config=");
            if let Some(line) = said.lines().find(up) {
                break line.to_owned();
            }
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("it did not start, {status}:\n{}", tail(&said));
            }
            assert!(Instant::now() < limit, "it is not up:\n{}", tail(&said));
            sleep(Duration::from_millis(2)).await; // looked at again, not relied on
        };
        let address = |name: &str| {
            let found = line.split(&format!("{name}=")).nth(1).unwrap();
            let found = found.split_whitespace().next().unwrap();
            found.parse().unwrap()
        };
        Served {
            callers: address("callers"),
            admin: address("admin"),
            process,
        }
    }

    /// Waits until it has refused: its exit code, and what it said.
    pub(crate) async fn refused(mut self) -> (Option<i32>, String) {
        let status = self.0.ended().await;
        (status.code(), self.0.said())
    }
}

/// A gateway that runs.
pub(crate) struct Served {
    pub(crate) callers: SocketAddr,
    pub(crate) admin: SocketAddr,
    process: Process,
}

impl Served {
    pub(crate) async fn connect(&self) -> Connection {
        Connection::to(self.callers).await
    }

    /// The head of a request, ready for more headers.
    pub(crate) fn head(&self, method: &str, path: &str, key: &str, member: &str) -> String {
        head(self.callers, method, path, &format!("{key}~{member}"))
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str, key: &str, member: &str) -> Reply {
        let head = self.head("GET", path, key, member);
        self.connect().await.ask(head + "\r\n").await
    }

    /// What the admin listener answers.
    pub(crate) async fn admin(&self, path: &str) -> Reply {
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.admin);
        Connection::to(self.admin).await.ask(ask).await
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = self.admin("/metrics").await.text();
        let mut lines = page.lines().filter_map(|line| line.strip_prefix(name));
        let value = lines.find_map(|rest| rest.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no metric {name}"));
        value.parse().unwrap()
    }

    /// Waits until `/readyz` answers so.
    pub(crate) async fn ready_is(&self, status: u16) -> String {
        let limit = Instant::now() + LIMIT;
        loop {
            let reply = self.admin("/readyz").await;
            if reply.status == status {
                return reply.text();
            }
            assert!(
                Instant::now() < limit,
                "still not {status}: {}",
                reply.text()
            );
            sleep(Duration::from_millis(5)).await; // looked at again, not relied on
        }
    }

    /// Its resident memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().next());
        value.unwrap().parse().unwrap()
    }

    /// Waits until it has said this.
    pub(crate) async fn says(&self, what: &str) {
        super::until(what, || self.said().contains(what)).await;
    }

    pub(crate) fn said(&self) -> String {
        self.process.said()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process.child), signal).unwrap();
    }

    /// Ends it as no program can prevent.
    pub(crate) async fn kill(mut self) {
        self.process.child.kill().unwrap();
        self.process.ended().await;
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        self.process.ended().await.code()
    }

    /// Ends it in order.
    pub(crate) async fn terminate(mut self) -> String {
        self.signal(Signal::TERM);
        let code = self.ended().await;
        assert_eq!(code, Some(0), "{}", tail(&self.said()));
        self.said()
    }
}

/// The head of a request with this in the token's place.
pub(crate) fn head(host: SocketAddr, method: &str, path: &str, bearer: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\n\
         LinkedIn-Version: 202609\r\n"
    )
}

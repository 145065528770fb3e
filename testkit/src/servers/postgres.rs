//! A private PostgreSQL with real durability: `fsync` and `synchronous_commit` stay on unless a test asks otherwise.

use super::{error::ServerError, launch};
use crate::{
    daemon::{Daemon, Farewell, GRACE},
    ports::Port,
    usage,
};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const NAME: &str = "PostgreSQL";
/// `initdb` takes one second on an idle machine.
const INITDB_PATIENCE: Duration = Duration::from_secs(120);

/// What may differ from the durable default.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// `fsync`: off only where durability is not what is tested.
    pub fsync: bool,
    /// `max_connections`.
    pub max_connections: u32,
    /// Further `name=value` settings.
    pub settings: Vec<String>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { fsync: true, max_connections: 200, settings: Vec::new() }
    }
}

/// A private PostgreSQL; gone when dropped.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    port: Port,
    folder: TempDir,
    programs: PathBuf,
    owner: Option<Owner>,
    options: PostgresOptions,
}

/// Whom the server runs as when we are root, which PostgreSQL refuses to be.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Starts one: durable, UTF-8, C locale, 200 connections, trust on loopback.
    pub async fn start() -> Result<Self, ServerError> {
        Self::start_with(PostgresOptions::default()).await
    }

    /// Starts one as `options` say.
    pub async fn start_with(options: PostgresOptions) -> Result<Self, ServerError> {
        let programs = find_programs()?;
        let owner = owner()?;
        let folder = launch::scratch(NAME)?;
        prepare(folder.path(), owner)?;
        initdb(&programs, folder.path(), owner).await?;
        let port = Port::reserve().map_err(launch::local(NAME, "reserving a port"))?;
        let daemon = Self::launch(&programs, folder.path(), owner, &port, &options)?;
        let mut server = Self { daemon, port, folder, programs, owner, options };
        server.ready().await?;
        Ok(server)
    }

    /// `postgres://…` of the maintenance database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port.number())
    }

    /// Makes a fresh, empty database and returns its URL.
    pub async fn create_database(&self) -> Result<String, ServerError> {
        create_database(&self.url()).await
    }

    /// Process id of the postmaster; its backends are its children.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Kills the postmaster and every backend at once, as a power cut would.
    pub fn kill9(&mut self) {
        let backends = usage::children(self.daemon.pid());
        self.daemon.kill9();
        for pid in backends.iter().filter_map(|pid| i32::try_from(*pid).ok().and_then(Pid::from_raw)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        // A new postmaster refuses to start while a backend of the old one still holds the shared memory.
        let deadline = Instant::now() + GRACE;
        while backends.iter().any(|pid| usage::alive(*pid)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops it and starts it again on the same port and data.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.daemon.stop();
        self.daemon = Self::launch(&self.programs, self.folder.path(), self.owner, &self.port, &self.options)?;
        self.ready().await
    }

    /// Stops it for good, or until [`restart`](Self::restart).
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    fn launch(programs: &Path, folder: &Path, owner: Option<Owner>, port: &Port, options: &PostgresOptions) -> Result<Daemon, ServerError> {
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            format!("port={}", port.number()),
            format!("max_connections={}", options.max_connections),
            format!("fsync={}", if options.fsync { "on" } else { "off" }),
            "synchronous_commit=on".to_owned(),
            "timezone=UTC".to_owned(),
        ];
        settings.extend(options.settings.iter().cloned());
        let mut command = command(&programs.join("postgres"), folder, owner);
        command.arg("-D").arg(folder.join("data"));
        for setting in settings {
            command.args(["-c", &setting]);
        }
        launch::spawn(NAME, &mut command, &folder.join("log"), Farewell::Quit)
    }

    async fn ready(&mut self) -> Result<(), ServerError> {
        let url = self.url();
        let answers = || {
            let url = url.clone();
            async move {
                let Ok(mut connection) = PgConnection::connect(&url).await else { return false };
                connection.ping().await.is_ok()
            }
        };
        launch::until_ready(NAME, &mut self.daemon, &self.folder.path().join("log"), answers).await
    }
}

/// Makes a fresh database on the server of `url` and returns its URL.
pub(super) async fn create_database(url: &str) -> Result<String, ServerError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let refused = |answer: String| ServerError::Refused { server: NAME, answer };
    // Unique over processes that share a server: the process, and a number within it.
    let name = format!("t{}_{}_{}", std::process::id(), started(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut target = url::Url::parse(url).map_err(|error| refused(error.to_string()))?;
    let mut connection = PgConnection::connect(url).await.map_err(|error| refused(error.to_string()))?;
    // The name is ours, letters and digits only.
    let statement = format!("CREATE DATABASE {name} TEMPLATE template0");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.map_err(|error| refused(error.to_string()))?;
    let _ = connection.close().await;
    target.set_path(&name);
    Ok(target.into())
}

/// When this process first asked, in microseconds: process ids come round again.
fn started() -> u128 {
    static STARTED: std::sync::OnceLock<u128> = std::sync::OnceLock::new();
    *STARTED.get_or_init(|| std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros()))
}

/// Debian keeps the server's programs apart, one folder a version: the newest wins.
fn find_programs() -> Result<PathBuf, ServerError> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> =
        versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))).collect();
    folders.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let folders: Vec<PathBuf> = folders.into_iter().map(|(_, folder)| folder).collect();
    let program = launch::find(NAME, "postgres", &folders)?;
    launch::find(NAME, "initdb", &folders)?;
    Ok(program.parent().map(Path::to_path_buf).unwrap_or_default())
}

/// `postgres`, or else `nobody`, when we are root; ourselves otherwise.
fn owner() -> Result<Option<Owner>, ServerError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(launch::local(NAME, "reading /etc/passwd"))?;
    let find = |user: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(user)).then_some(())?;
            Some(Owner { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        })
    };
    find("postgres").or_else(|| find("nobody")).map(Some).ok_or(ServerError::NotInstalled { server: NAME, program: "user postgres" })
}

fn prepare(folder: &Path, owner: Option<Owner>) -> Result<(), ServerError> {
    match owner {
        Some(owner) => chown(folder, Some(owner.uid), Some(owner.gid)).map_err(launch::local(NAME, "giving its folder to its user")),
        None => Ok(()),
    }
}

fn command(program: &Path, folder: &Path, owner: Option<Owner>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGPORT");
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
}

async fn initdb(programs: &Path, folder: &Path, owner: Option<Owner>) -> Result<(), ServerError> {
    let mut command = command(&programs.join("initdb"), folder, owner);
    command
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
        .arg(folder.join("data"));
    let run = tokio::process::Command::from(command).kill_on_drop(true).output();
    let finished = tokio::time::timeout(INITDB_PATIENCE, run).await;
    let output = finished.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(launch::local(NAME, "running initdb"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(ServerError::Exited {
            server: NAME,
            status: format!("initdb: {}", output.status),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}

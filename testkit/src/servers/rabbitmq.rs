//! A private RabbitMQ: own node name, distribution port, Mnesia folder and port mapper, so that any number run side by side.

use super::{error::ServerError, launch};
use crate::{
    daemon::{Daemon, Farewell},
    ports::Port,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const NAME: &str = "RabbitMQ";
const MAPPER: &str = "epmd";
/// The protocol header of AMQP 0-9-1; a broker that serves answers with a method frame (first byte 1).
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A private RabbitMQ; gone when dropped.
#[derive(Debug)]
pub struct RabbitMq {
    daemon: Daemon,
    /// Erlang's port mapper, on a port of its own and ours to stop: the one that a node starts by itself would stay behind for ever.
    _mapper: Daemon,
    ports: Ports,
    folder: TempDir,
    program: PathBuf,
}

#[derive(Debug)]
struct Ports {
    amqp: Port,
    distribution: Port,
    mapper: Port,
}

impl RabbitMq {
    /// Starts one and waits until it speaks AMQP (about 4 s on an idle machine).
    pub async fn start() -> Result<Self, ServerError> {
        // Debian's /usr/sbin/rabbitmq-server is a wrapper that changes the user; the script beneath it does not.
        let program = launch::find(NAME, "rabbitmq-server", &[PathBuf::from("/usr/lib/rabbitmq/bin")])?;
        let folder = launch::scratch(NAME)?;
        let reserve = || Port::reserve().map_err(launch::local(NAME, "reserving a port"));
        let ports = Ports { amqp: reserve()?, distribution: reserve()?, mapper: reserve()? };
        configure(folder.path(), &ports).map_err(launch::local(NAME, "writing its configuration"))?;
        let mapper = start_mapper(folder.path(), &ports)?;
        let daemon = Self::launch(&program, &folder, &ports)?;
        let mut broker = Self { daemon, _mapper: mapper, ports, folder, program };
        broker.ready().await?;
        Ok(broker)
    }

    /// `amqp://…`, default virtual host.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp.number())
    }

    /// Process id of the Erlang machine itself.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Kills it at once; what it has confirmed must be there after [`restart`](Self::restart).
    pub fn kill9(&mut self) {
        self.daemon.kill9();
    }

    /// Stops it and starts it again on the same ports and data.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.daemon.stop();
        self.daemon = Self::launch(&self.program, &self.folder, &self.ports)?;
        self.ready().await
    }

    /// Stops it for good, or until [`restart`](Self::restart).
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    fn launch(program: &Path, folder: &TempDir, ports: &Ports) -> Result<Daemon, ServerError> {
        let home = folder.path();
        let mut command = Command::new(program);
        command
            .current_dir(home)
            .env("HOME", home)
            .env("RABBITMQ_NODENAME", format!("boxoffice{}@localhost", ports.amqp.number()))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_DIST_PORT", ports.distribution.number().to_string())
            .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", home.join("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", home.join("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("ERL_EPMD_PORT", ports.mapper.number().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // Makes the script become the Erlang machine instead of watching over it, so that a signal to our child reaches the broker.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RABBITMQ_NODE_PORT");
        launch::spawn(NAME, &mut command, &home.join("log"), Farewell::Kill)
    }

    async fn ready(&mut self) -> Result<(), ServerError> {
        let port = self.ports.amqp.number();
        let answers = || async move { launch::ask(port, GREETING).await.is_ok_and(|answer| answer.first() == Some(&1)) };
        launch::until_ready(NAME, &mut self.daemon, &self.folder.path().join("log"), answers).await
    }
}

fn configure(home: &Path, ports: &Ports) -> std::io::Result<()> {
    // A scratch broker must not block publishers because the machine's disk is rather full.
    let conf = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\ndisk_free_limit.absolute = 50MB\nlog.console = true\nlog.console.level = warning\n",
        ports.amqp.number()
    );
    fs::write(home.join("rabbitmq.conf"), conf)?;
    fs::write(home.join("enabled_plugins"), "[].\n")?;
    fs::create_dir_all(home.join("mnesia"))?;
    fs::create_dir_all(home.join("logs"))
}

fn start_mapper(home: &Path, ports: &Ports) -> Result<Daemon, ServerError> {
    let mut command = Command::new(launch::find(NAME, MAPPER, &[])?);
    command.args(["-address", "127.0.0.1", "-port", &ports.mapper.number().to_string()]).current_dir(home);
    launch::spawn(NAME, &mut command, &home.join("epmd.log"), Farewell::Kill)
}

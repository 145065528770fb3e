//! What can be typed.

use crate::bench::BenchArgs;
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// A queue-driven checkout engine for seats.
#[derive(Debug, Parser)]
#[command(name = "boxoffice", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// API and worker in one process; embedded unless DATABASE_URL, AMQP_URL and REDIS_URL are set
    Serve(Serve),
    /// The intake API alone, for scaling out; needs all three URLs
    Api(Api),
    /// A worker alone, for scaling out; needs all three URLs and SANDBOX_PROVIDER_URL
    Worker(Worker),
    /// The sandbox payment provider as a server of its own, with a durable book
    Sandbox(Sandbox),
    /// Applies the schema
    Migrate(Data),
    /// Checks every dependency and says what is wrong and how to mend it
    Doctor(Data),
    /// API keys
    #[command(subcommand)]
    Keys(Keys),
    /// Tenants' accounts with payment providers
    #[command(subcommand)]
    Providers(Providers),
    /// Recomputes every invariant from the store; exit 1 when one is broken
    Audit(Audit),
    /// Shows the messages that were given up, or puts them back to work
    DeadLetters(DeadLetters),
    /// Shows what payment providers told us and what somebody has to look at, has it worked on again, or leaves it at that
    ProviderEvents(ProviderEvents),
    /// Holds a payment provider's own list of payments and refunds against ours; exit 1 when something differs, 2 when it could not be looked at
    Reconcile(Reconcile),
    /// A load, and figures that can be believed
    Bench(Box<BenchArgs>),
}

/// Where embedded data lies.
#[derive(Debug, Args)]
pub struct Data {
    /// The folder of the embedded databases
    #[arg(long, default_value = "./data")]
    pub data_dir: PathBuf,
}

/// `boxoffice serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The folder of the embedded databases
    #[arg(long, default_value = "./data")]
    pub data_dir: PathBuf,
    /// Makes tenant `demo` with the test key bo_test_demo and a small catalogue; loopback only
    #[arg(long)]
    pub demo: bool,
}

/// `boxoffice api`.
#[derive(Debug, Args)]
pub struct Api {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// `boxoffice worker`.
#[derive(Debug, Args)]
pub struct Worker {
    /// Where to answer /healthz, /readyz and /metrics; nowhere when left out
    #[arg(long)]
    pub listen: Option<SocketAddr>,
}

/// `boxoffice sandbox`.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// How browsers reach it, for the links to its pages; the listening address when left out
    #[arg(long)]
    pub public_url: Option<String>,
    /// Whom it tells what became of payments for which it asks a customer: http://…/webhooks/sandbox/test. Signed with SANDBOX_WEBHOOK_SECRET
    #[arg(long)]
    pub webhook_url: Option<String>,
    /// The folder of its book
    #[arg(long, default_value = "./data")]
    pub data_dir: PathBuf,
}

/// `boxoffice keys …`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Makes a key and shows it once
    Create {
        /// Whose: 1 to 64 of A-Z a-z 0-9 _ -
        #[arg(long)]
        tenant: String,
        /// For real money; a test key otherwise
        #[arg(long)]
        live: bool,
        /// What it may do, comma-separated
        #[arg(long, value_delimiter = ',', default_value = "checkouts:write,checkouts:read,catalog:write,admin")]
        scopes: Vec<String>,
        /// Where the data lies.
        #[command(flatten)]
        data: Data,
    },
    /// Lists keys, without their secrets
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Where the data lies.
        #[command(flatten)]
        data: Data,
    },
    /// Revokes a key by its id
    Revoke {
        /// key_…
        id: String,
        /// Where the data lies.
        #[command(flatten)]
        data: Data,
    },
}

/// `boxoffice providers …`.
#[derive(Debug, Subcommand)]
pub enum Providers {
    /// Lists accounts, without their secrets
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Where the data lies.
        #[command(flatten)]
        data: Data,
    },
    /// Adds an account. Its secrets come from the environment, or as JSON from standard input: never as arguments, which others can see
    Add {
        /// stripe or mollie
        #[arg(long)]
        provider: String,
        /// What it is called, 1 to 100 characters
        #[arg(long)]
        name: String,
        /// Takes no charges until it is enabled
        #[arg(long)]
        disabled: bool,
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// Its secrets.
        #[command(flatten)]
        secrets: ProviderSecrets,
        /// Where the data lies.
        #[command(flatten)]
        data: Data,
    },
    /// New charges may go there again
    Enable(OneAccount),
    /// New charges go there no more; what is open there is brought to its end
    Disable(OneAccount),
    /// Replaces an account's secrets, those that are given; the others stay
    SetKeys {
        /// pac_…
        id: String,
        /// Its secrets.
        #[command(flatten)]
        secrets: ProviderSecrets,
        /// Where the data lies.
        #[command(flatten)]
        data: Data,
    },
    /// Makes a key for BOXOFFICE_SECRETS_KEY and shows it
    NewKey,
    /// Seals all accounts' secrets with the first key of BOXOFFICE_SECRETS_KEY; then the others can go
    Reseal(Data),
}

/// A tenant, in a mode.
#[derive(Debug, Args)]
pub struct Whose {
    /// Whose: 1 to 64 of A-Z a-z 0-9 _ -
    #[arg(long)]
    pub tenant: String,
    /// For real money; test otherwise
    #[arg(long)]
    pub live: bool,
}

/// Where secrets come from.
#[derive(Debug, Args)]
pub struct ProviderSecrets {
    /// Reads {"secret_key": …, "publishable_key": …, "webhook_secrets": […]} or {"api_key": …} from standard input. Otherwise from STRIPE_SECRET_KEY,
    /// STRIPE_PUBLISHABLE_KEY, STRIPE_WEBHOOK_SECRETS (comma-separated) and MOLLIE_API_KEY
    #[arg(long)]
    pub stdin: bool,
}

/// An account.
#[derive(Debug, Args)]
pub struct OneAccount {
    /// pac_…
    pub id: String,
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
}

/// `boxoffice dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLetters {
    /// Puts them back into their lanes, the oldest first
    #[arg(long)]
    pub redrive: bool,
    /// How many at the most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub limit: u16,
}

/// `boxoffice provider-events`.
#[derive(Debug, Args)]
pub struct ProviderEvents {
    /// Shows the event as it came. It may hold personal data
    #[arg(long, value_name = "ID", group = "what")]
    pub show: Option<String>,
    /// Has it worked on once more
    #[arg(long, value_name = "ID", group = "what")]
    pub retry: Option<String>,
    /// Leaves it at that; needs --note
    #[arg(long, value_name = "ID", group = "what", requires = "note")]
    pub dismiss: Option<String>,
    /// Why
    #[arg(long, requires = "dismiss")]
    pub note: Option<String>,
    /// How many at the most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub limit: u16,
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
}

/// `boxoffice audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Mends what follows from other rows without a doubt
    #[arg(long)]
    pub repair: bool,
    /// How far behind its due time a row may be, in seconds
    #[arg(long, default_value_t = 300)]
    pub stuck_after: u64,
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
}

/// `boxoffice reconcile`.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// stripe or mollie
    #[arg(long)]
    pub provider: String,
    /// From when on: 2030-01-31T09:00:00Z, 2030-01-31, or how long ago: 90m, 24h, 7d
    #[arg(long)]
    pub since: String,
    /// Until when; now when left out
    #[arg(long)]
    pub until: Option<String>,
    /// Only this account, pac_…; all of the provider's when left out
    #[arg(long)]
    pub account: Option<String>,
    /// Mends what the provider's own word mends, as if it had come as an event. Needs what a worker needs
    #[arg(long)]
    pub repair: bool,
    /// Tells it as JSON lines: one for each difference, and a summary in the end
    #[arg(long)]
    pub json: bool,
    /// What is younger than this may be under way, and is no difference: 90s, 5m, 1h
    #[arg(long, default_value = "5m")]
    pub grace: String,
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
}

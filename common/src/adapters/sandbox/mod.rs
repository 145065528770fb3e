//! The sandbox payment provider: a stranger to the engine with a durable book of its own.
//!
//! `operation` is what the book is made of, `rules` what the cards and charges do (pure), `book` and `book_write` the
//! file, `push` and `push_book` those for whom a customer is asked, `intents` and `intent_book` what was authorised before, `notices` what is told of them and `events` how the engine reads that, `behaviour` the troubles it can be told to make, `service` the provider itself. `http` and `actions` put it on
//! the wire, `client` calls it there, and `provider` is the engine's side: the port, over a service or over a client.

mod actions;
mod behaviour;
mod book;
mod book_write;
mod client;
mod events;
mod http;
mod intent_book;
mod intents;
mod notices;
mod operation;
mod provider;
mod push;
mod push_book;
mod rules;
mod service;

pub use actions::actions_router;
pub use behaviour::{Behaviour, BehaviourError};
pub use book::{BookError, ChargePage, Total, Totals};
pub use client::BaseUrlError;
pub use events::{PATH as EVENTS_PATH, SandboxEvents};
pub use http::{book_router, money_router, router};
pub use notices::Notify;
pub use operation::{ChargeRow, Operation, OperationId, OperationRequest, OperationStatus};
pub use provider::{ChargesError, SandboxProvider};
pub use service::{Reply, SandboxService};

//! `boxoffice provider-events`: what providers told us and what a person has to look at.

use crate::{command::ProviderEvents, exit::Failure, log, wire};
use boxoffice_common::{
    domain::id::ProviderEventId,
    ports::store::{ProviderEventStore, UpkeepStore},
};

/// The longest note, characters.
const MAX_NOTE: usize = 500;

/// Lists them, or does what is asked with one.
pub async fn run(args: ProviderEvents) -> Result<(), Failure> {
    log::start("warn");
    let (_, _, store) = wire::open_store(args.data.data_dir).await?;
    store.ping().await?;
    if let Some(id) = &args.show {
        let event = store.provider_event(&parse(id)?).await?.ok_or_else(|| unknown(id))?;
        println!("{}", event.body);
    } else if let Some(id) = &args.retry {
        if !store.retry_event(&parse(id)?).await? {
            return Err(unknown(id));
        }
        println!("{id} will be worked on again");
    } else if let (Some(id), Some(note)) = (&args.dismiss, &args.note) {
        if note.chars().count() > MAX_NOTE {
            return Err(Failure::Setup(format!("a note has {MAX_NOTE} characters at the most")));
        }
        if !store.dismiss_event(&parse(id)?, note).await? {
            return Err(unknown(id));
        }
        println!("{id} is left at that");
    } else {
        let found = store.events_to_review(args.limit.into()).await?;
        for event in &found {
            let note = event.note.as_deref().unwrap_or_default();
            println!("{}  {}/{}  {}  {}  {note}", event.id, event.provider, event.account, event.event, event.received_at);
        }
        println!("{} to be looked at", found.len());
    }
    Ok(())
}

fn parse(id: &str) -> Result<ProviderEventId, Failure> {
    ProviderEventId::parse(id).map_err(|_| unknown(id))
}

fn unknown(id: &str) -> Failure {
    Failure::Setup(format!("{id} is no event that somebody has to look at"))
}

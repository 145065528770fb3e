//! Participants as a client names them in a line.

use super::request::refuse_others;
use crate::{bounds, problem::Problem};
use boxoffice_common::domain::{customer::BirthDate, id::CustomerId, participant::Participant};
use serde::Deserialize;
use std::fmt;

/// A customer by id, or somebody described by name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParticipantRequest {
    /// The buyer, or a customer of the buyer's family; alone.
    customer: Option<CustomerId>,
    /// The client's name for the person; a customer who has it is that customer.
    external_id: Option<String>,
    /// Required without `customer`. Shown on the ticket.
    name: Option<String>,
    email: Option<String>,
    /// Asked for by sessions with an age limit.
    date_of_birth: Option<BirthDate>,
}

impl fmt::Debug for ParticipantRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// An empty list would be a line that nobody comes to.
pub fn read(named: Option<Vec<ParticipantRequest>>, at: &str) -> Result<Vec<Participant>, Problem> {
    match named {
        None => Ok(Vec::new()),
        Some(named) if named.is_empty() => Err(Problem::invalid(at, "names one for each place, or is left out")),
        Some(named) => named.into_iter().enumerate().map(|(index, one)| one.into_participant(&format!("{at}[{index}]"))).collect(),
    }
}

impl ParticipantRequest {
    fn into_participant(self, at: &str) -> Result<Participant, Problem> {
        let Self { customer, external_id, name, email, date_of_birth } = self;
        let described = [
            ("external_id", external_id.is_some()),
            ("name", name.is_some()),
            ("email", email.is_some()),
            ("date_of_birth", date_of_birth.is_some()),
        ];
        let participant = Participant { customer, external_id, name, email, date_of_birth };
        if participant.customer.is_some() {
            refuse_others(&described, &[], at)?;
            return Ok(participant);
        }
        if participant.name.is_none() {
            return Err(Problem::missing(format!("{at}.name")));
        }
        bounds::customer(&participant.described(), &format!("{at}."))?;
        Ok(participant)
    }
}

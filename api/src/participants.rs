//! Who is to come, as far as it can be known when a checkout is accepted: participants who are customers are found, and may be named by
//! this buyer.

use crate::{bounds, intake::Buyer, problem::Problem};
use boxoffice_common::{
    domain::{
        customer::Customer,
        error::{Code, CodedError},
        id::CustomerId,
        line::{Item, Line},
        participant::{Participant, check_family},
        scope::Scope,
        time::Timestamp,
    },
    ports::store::Store,
};

/// Looks participants up, and freezes the names of those who are customers. Costs nothing where nobody is named.
pub async fn resolve(store: &dyn Store, scope: &Scope, buyer: Option<&Buyer>, lines: &mut [Line], now: Timestamp) -> Result<(), Problem> {
    let named: Vec<&Participant> = lines.iter().flat_map(|line| line.item.participants()).collect();
    if named.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<CustomerId> = named.iter().filter_map(|participant| participant.customer.clone()).collect();
    let mut externals: Vec<String> = named.iter().filter_map(|participant| participant.external_id.clone()).collect();
    match buyer {
        Some(Buyer::Known(id)) => ids.push(id.clone()),
        Some(Buyer::Described(buyer)) => externals.extend(buyer.external_id.clone()),
        None => {}
    }
    let found = store.customers_by_name(scope, &ids, &externals).await?;
    let by_id = |id: &CustomerId| found.iter().find(|customer| customer.id.as_ref() == Some(id));
    let by_external = |external: &String| found.iter().find(|customer| customer.external_id.as_ref() == Some(external));
    let buyer = match buyer {
        Some(Buyer::Known(id)) => by_id(id),
        Some(Buyer::Described(buyer)) => buyer.external_id.as_ref().and_then(by_external),
        None => None,
    };
    for (line, at) in lines.iter_mut().zip(0..) {
        let Item::Session { participants, .. } = &mut line.item else { continue };
        for (participant, index) in participants.iter_mut().zip(0..) {
            let param = format!("lines[{at}].participants[{index}]");
            bounds::born(&participant.described(), now, &format!("{param}."))?;
            let known = match (&participant.customer, &participant.external_id) {
                (Some(id), _) => {
                    let missing = || CodedError::new(Code::ResourceMissing, "no such customer").at(format!("{param}.customer"));
                    Some(by_id(id).ok_or_else(missing)?)
                }
                (None, Some(external)) => by_external(external),
                (None, None) => None,
            };
            if let Some(known) = known {
                check_family(buyer, known).map_err(|error| error.at(param))?;
                *participant = frozen(known);
            }
        }
    }
    Ok(())
}

/// What is kept of a customer: who it is, and the name for the ticket. The rest is asked when it matters.
fn frozen(customer: &Customer) -> Participant {
    Participant { customer: customer.id.clone(), name: customer.name.clone(), ..Participant::default() }
}

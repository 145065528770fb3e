//! What a checkout asks for, thing by thing: two lines may want the same session.

use crate::{
    domain::{catalogue::Kind, claim::Want, id::CatalogueId},
    ports::seats::Tried,
};

/// All that one checkout wants of one thing.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a CatalogueId,
    /// Summed over the wants.
    pub(super) quantity: u64,
    /// Of all the wants, in order.
    pub(super) seats: Vec<&'a str>,
    wants: Vec<(usize, &'a Want)>,
}

/// Why a thing cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// So many are left.
    Free(u64),
    /// The seat at this place of [`Asked::seats`] is taken.
    Seat(usize),
}

/// Gathers wants by thing, in the order in which things are first named.
pub(super) fn gather(wants: &[Want]) -> Vec<Asked<'_>> {
    let mut things: Vec<Asked<'_>> = Vec::with_capacity(wants.len());
    for (index, want) in wants.iter().enumerate() {
        let quantity = u64::from(want.quantity);
        let seats = want.seats.iter().map(String::as_str);
        match things.iter_mut().find(|thing| thing.kind == want.kind && *thing.id == want.id) {
            Some(thing) => {
                thing.quantity += quantity;
                thing.seats.extend(seats);
                thing.wants.push((index, want));
            }
            None => things.push(Asked { kind: want.kind, id: &want.id, quantity, seats: seats.collect(), wants: vec![(index, want)] }),
        }
    }
    things
}

impl Asked<'_> {
    /// What its token counts for against the level: nothing when seats are named, for they exclude each other one by one. A worker
    /// may then keep the token of a sold seat until the seat is told, and no place is counted twice.
    pub(super) fn counted(&self) -> u64 {
        if self.seats.is_empty() { self.quantity } else { 0 }
    }

    /// Names the first want that cannot be met when the wants are met in order.
    pub(super) fn gone(&self, short: Short) -> Tried {
        let last = self.wants.last().map_or(0, |(index, _)| *index);
        let (mut quantity, mut seats) = (0, 0);
        let first_short = self.wants.iter().find(|(_, want)| {
            quantity += u64::from(want.quantity);
            seats += want.seats.len();
            match short {
                Short::Free(free) => quantity > free,
                Short::Seat(place) => seats > place,
            }
        });
        Tried::Gone(first_short.map_or(last, |(index, _)| *index))
    }
}

/// The indexes of all wants of these things.
pub(super) fn missing<'a>(things: impl Iterator<Item = &'a Asked<'a>>) -> Tried {
    let mut indexes: Vec<usize> = things.flat_map(|thing| thing.wants.iter().map(|(index, _)| *index)).collect();
    indexes.sort_unstable();
    Tried::Missing(indexes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(kind: Kind, id: &str, quantity: u32, seats: &[&str]) -> Want {
        let seats = seats.iter().map(|seat| (*seat).to_owned()).collect();
        Want { kind, id: CatalogueId::parse(id).unwrap(), quantity, seats, line: None }
    }

    #[test]
    fn two_wants_of_one_thing_are_one_and_the_first_that_cannot_be_met_is_named() {
        let wants = [want(Kind::Session, "a", 2, &[]), want(Kind::PromoCode, "a", 1, &[]), want(Kind::Session, "a", 2, &[])];
        let things = gather(&wants);
        assert_eq!(things.iter().map(|thing| (thing.kind, thing.quantity)).collect::<Vec<_>>(), [(Kind::Session, 4), (Kind::PromoCode, 1)]);
        assert_eq!(things[0].gone(Short::Free(1)), Tried::Gone(0));
        assert_eq!(things[0].gone(Short::Free(3)), Tried::Gone(2));
        assert_eq!(missing(things.iter()), Tried::Missing(vec![0, 1, 2]));
    }

    #[test]
    fn a_taken_seat_is_traced_to_its_want() {
        let wants = [want(Kind::Session, "a", 2, &["A1", "A2"]), want(Kind::Session, "a", 1, &["A3"])];
        let things = gather(&wants);
        assert_eq!([0, 1, 2].map(|place| things[0].gone(Short::Seat(place))), [Tried::Gone(0), Tried::Gone(0), Tried::Gone(1)]);
    }
}

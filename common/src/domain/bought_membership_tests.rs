use super::*;
use proptest::prelude::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn day(n: u32) -> Timestamp {
    Timestamp::from_millis(0).after(DAY * n)
}

/// Good from day 10 until day 40.
fn pack() -> BoughtMembership {
    BoughtMembership {
        id: BoughtMembershipId::parse("bmb_1").unwrap(),
        customer: CustomerId::parse("cus_ada").unwrap(),
        membership: CatalogueId::parse("mem_pack").unwrap(),
        kind: MembershipType::Pack,
        credits: Some(10),
        valid_from: day(10),
        valid_until: Some(day(40)),
        period: 1,
        period_from: day(10),
        frozen: None,
        ended_at: None,
        sold_by: None,
        metadata: serde_json::Map::new(),
        created_at: day(10),
        updated_at: day(10),
    }
}

#[test]
fn it_pays_within_its_validity_now_and_when_the_session_starts() {
    let usable = |now, starts| pack().check_usable(day(now), day(starts));
    assert_eq!((usable(10, 10), usable(39, 39)), (Ok(()), Ok(())));
    let refused = (Err(Incompatibility::Upcoming), Err(Incompatibility::Expired), Err(Incompatibility::EndsBefore));
    assert_eq!((usable(9, 20), usable(40, 41), usable(20, 40)), refused);
    let given_back = BoughtMembership { ended_at: Some(day(12)), ..pack() };
    let usable = given_back.check_usable(day(20), day(21));
    assert_eq!((given_back.status(day(20)), usable), (BoughtStatus::Ended, Err(Incompatibility::Ended)));
    let endless = BoughtMembership { valid_until: None, ..pack() };
    assert_eq!(endless.check_usable(day(20), day(9_999)), Ok(()));
}

#[test]
fn a_frozen_membership_pays_for_nothing_and_lasts_as_much_longer() {
    let frozen = pack().freeze(None, day(20)).unwrap();
    assert_eq!((frozen.status(day(20)), frozen.status(day(400))), (BoughtStatus::Frozen, BoughtStatus::Frozen));
    assert_eq!(frozen.check_usable(day(25), day(26)), Err(Incompatibility::Frozen));
    let thawed = frozen.unfreeze(day(27)).unwrap();
    assert_eq!((thawed.valid_until, thawed.frozen, thawed.status(day(46))), (Some(day(47)), None, BoughtStatus::Active));
    assert_eq!(thawed.status(day(47)), BoughtStatus::Expired);
}

#[test]
fn an_end_said_beforehand_comes_by_itself_and_what_is_thawed_early_is_taken_back() {
    let frozen = pack().freeze(Some(day(30)), day(20)).unwrap();
    assert_eq!(
        (frozen.status(day(29)), frozen.status(day(30)), frozen.valid_until),
        (BoughtStatus::Frozen, BoughtStatus::Active, Some(day(50)))
    );
    assert_eq!(frozen.clone().unfreeze(day(24)).unwrap().valid_until, Some(day(44)));
    assert_eq!(frozen.clone().unfreeze(day(31)), Ok(frozen.clone()), "it has thawed by itself");
    let again = frozen.freeze(Some(day(45)), day(35)).unwrap();
    assert_eq!(again.valid_until, Some(day(60)), "frozen for ten days, twice");
}

#[test]
fn only_what_is_good_is_frozen_and_only_what_is_frozen_is_thawed() {
    let refused = |now, until: Option<u32>| pack().freeze(until.map(day), day(now)).unwrap_err();
    assert_eq!(refused(9, None), FreezeRefusal::Not(BoughtStatus::Upcoming));
    assert_eq!(refused(40, None), FreezeRefusal::Not(BoughtStatus::Expired));
    assert_eq!(refused(20, Some(20)), FreezeRefusal::Past);
    let frozen = pack().freeze(None, day(20)).unwrap();
    assert_eq!(frozen.clone().freeze(None, day(21)), Ok(frozen.clone()), "the same again changes nothing");
    assert_eq!(frozen.freeze(Some(day(30)), day(21)), Err(FreezeRefusal::Not(BoughtStatus::Frozen)));
    assert_eq!((pack().unfreeze(day(20)), pack().unfreeze(day(40))), (Ok(pack()), Err(FreezeRefusal::Not(BoughtStatus::Expired))));
}

proptest! {
    /// However it is frozen and thawed, it is good for thirty days in all.
    #[test]
    fn freezing_takes_no_time_away_and_gives_none(steps in prop::collection::vec((1u32..20, prop::option::of(1u32..20)), 0..12)) {
        let (mut bought, mut now, mut good) = (pack(), day(10), Duration::ZERO);
        for (wait, until) in steps {
            // Good for `wait` days, unless it ends before; then frozen, and thawed five days later if it has not thawed by itself.
            let end = bought.valid_until.unwrap();
            if now.after(DAY * wait) >= end {
                break;
            }
            good += DAY * wait;
            now = now.after(DAY * wait);
            bought = bought.freeze(until.map(|days| now.after(DAY * days)), now).unwrap();
            now = now.after(DAY * until.unwrap_or(5).min(5));
            if bought.status(now) == BoughtStatus::Frozen {
                bought = bought.unfreeze(now).unwrap();
            }
        }
        prop_assert_eq!(good + bought.valid_until.unwrap().since(now), DAY * 30);
    }
}

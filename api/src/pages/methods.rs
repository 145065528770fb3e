//! The ways to pay as the form offers them: cards, mobile money, banks and wallets, and what was wrong with the last choice.

use super::{
    form::{Bad, BadCard},
    offers::{CardWay, Offers},
    saved::SavedCard,
};
use boxoffice_common::domain::{
    checkout::Checkout,
    hosted::Hosted,
    push::{self, PushKind},
};

const TEST_CARDS: [(&str, &str, &str); 5] = [
    ("tok_visa", "Card that pays", "Approved at once"),
    ("tok_3ds", "Card with a bank’s check", "Your bank asks you to confirm"),
    ("tok_declined", "Card that is declined", "The bank says no"),
    ("tok_insufficient_funds", "Card without enough money", "Declined for lack of funds"),
    ("tok_expired_card", "Card that has expired", "Declined as too old"),
];

/// As the form says that a card is entered at the provider.
pub(super) const THERE: &str = "there";

/// The cards that the page offers to everybody.
pub(super) fn test_cards() -> Vec<&'static str> {
    TEST_CARDS.iter().map(|(token, ..)| *token).collect()
}

/// What was wrong, and the field where it can be mended.
pub(super) struct Mistake {
    pub(super) words: &'static str,
    pub(super) field: String,
}

/// A card or a provider to be chosen.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) words: String,
    pub(super) checked: bool,
}

/// Cards, saved ones first.
pub(super) struct Cards {
    pub(super) choices: Vec<Choice>,
    pub(super) has_saved: bool,
    /// Whether a token may be typed in.
    pub(super) takes_token: bool,
    pub(super) other_checked: bool,
    pub(super) token_error: Option<&'static str>,
    pub(super) open: bool,
}

impl Cards {
    fn of(way: &CardWay, saved: Vec<SavedCard>, token_error: Option<&'static str>, open: bool) -> Self {
        let (has_saved, other_checked, takes_token) = (!saved.is_empty(), token_error.is_some(), *way == CardWay::Test);
        let others: Vec<[String; 3]> = match way {
            CardWay::Test => TEST_CARDS.iter().map(|(token, name, words)| [*token, *name, *words].map(str::to_owned)).collect(),
            CardWay::ThereAt(provider) => {
                let name = if has_saved { "Another card" } else { "Card" };
                vec![[THERE.to_owned(), name.to_owned(), format!("Entered on the next page, at {provider}")]]
            }
            CardWay::None => Vec::new(),
        };
        let offered = saved.into_iter().map(|SavedCard { value, name, words }| [value, name, words]).chain(others);
        let card = |(at, [value, name, words]): (usize, [String; 3])| Choice { value, name, words, checked: at == 0 && !other_checked };
        Self { choices: offered.enumerate().map(card).collect(), has_saved, takes_token, other_checked, token_error, open }
    }
}

/// Mobile money, banks or wallets.
pub(super) struct Push {
    /// As it stands in the form, and what the ids of its fields begin with.
    pub(super) kind: &'static str,
    pub(super) heading: &'static str,
    /// The same where there is nothing else to choose.
    pub(super) alone: &'static str,
    pub(super) legend: &'static str,
    /// What happens next.
    pub(super) words: &'static str,
    pub(super) asks_phone: bool,
    pub(super) providers: Vec<Choice>,
    pub(super) provider_error: Option<&'static str>,
    pub(super) phone_error: Option<&'static str>,
    pub(super) open: bool,
}

impl Push {
    /// `None` where nobody of the kind is offered.
    fn of(kind: PushKind, hosted: &Hosted, bad: Option<Bad>, open: bool) -> Option<Self> {
        let (heading, alone, legend, words) = match kind {
            PushKind::MobileMoney => {
                ("Mobile money", "Pay by mobile money", "Your mobile money service", "You confirm the payment on your phone.")
            }
            PushKind::Bank => {
                ("Bank", "Pay at your bank", "Your bank", "You confirm the payment on your bank’s own page, and come back here.")
            }
            PushKind::Wallet => {
                ("Wallet", "Pay with a wallet", "Your wallet", "You confirm the payment on the wallet’s own page, and come back here.")
            }
        };
        let chosen = match bad {
            Some(Bad::Phone(provider)) => Some(provider),
            _ => None,
        };
        let offered: Vec<_> = push::offered(kind, &hosted.options).collect();
        // Of several nobody is chosen for the customer: a click too early would lead to a stranger.
        let is_alone = offered.len() == 1;
        let choice = |provider: &push::PushProvider| Choice {
            value: provider.id.to_owned(),
            name: provider.name.to_owned(),
            words: String::new(),
            checked: is_alone || chosen == Some(provider.id),
        };
        let asks_phone = kind == PushKind::MobileMoney;
        let provider_error = bad.filter(|bad| *bad == Bad::Provider(kind)).map(words_of);
        let phone_error = bad.filter(|bad| asks_phone && matches!(bad, Bad::Phone(_))).map(words_of);
        let providers: Vec<Choice> = offered.into_iter().map(choice).collect();
        (!providers.is_empty()).then_some(Self {
            kind: kind.as_str(),
            heading,
            alone,
            legend,
            words,
            asks_phone,
            providers,
            provider_error,
            phone_error,
            open,
        })
    }
}

/// All of them, one of which is open.
pub(super) struct Methods {
    pub(super) cards: Option<Cards>,
    pub(super) pushes: Vec<Push>,
}

impl Methods {
    /// Open is what was wrong, or what was tried last, or else the first.
    pub(super) fn of(checkout: &Checkout, hosted: &Hosted, can: &Offers, saved: Vec<SavedCard>, bad: Option<Bad>) -> Self {
        let takes_cards = !hosted.options.card.disable && (can.card != CardWay::None || !saved.is_empty());
        let offers = |kind: &PushKind| can.push && push::offered(*kind, &hosted.options).next().is_some();
        let tried = checkout.charges().last().map(|charge| charge.request.push.as_ref().map(|push| push.method));
        let wanted: Option<PushKind> = match bad {
            Some(Bad::Provider(kind)) => Some(kind),
            Some(Bad::Phone(_)) => Some(PushKind::MobileMoney),
            Some(Bad::Card(_)) => None,
            Some(Bad::Method) | None => tried.flatten(),
        };
        let first = PushKind::ALL.into_iter().find(offers).filter(|_| !takes_cards);
        let open = wanted.filter(offers).or(first);
        let token_error = match bad {
            Some(Bad::Card(card)) if field_of(card) == "token" => Some(words_of(Bad::Card(card))),
            _ => None,
        };
        let cards = takes_cards.then(|| Cards::of(&can.card, saved, token_error, open.is_none()));
        let pushes = PushKind::ALL.into_iter().filter(offers).filter_map(|kind| Push::of(kind, hosted, bad, open == Some(kind))).collect();
        Self { cards, pushes }
    }

    /// Whether there is nothing to choose between.
    pub(super) fn is_alone(&self) -> bool {
        usize::from(self.cards.is_some()) + self.pushes.len() == 1
    }

    /// What is wrong with what was sent, and where.
    pub(super) fn mistake(&self, bad: Bad) -> Mistake {
        let field = match bad {
            Bad::Method => self.first_field(),
            Bad::Card(card) => field_of(card).to_owned(),
            Bad::Provider(kind) => format!("{}-1", kind.as_str()),
            Bad::Phone(_) => "phone".to_owned(),
        };
        Mistake { words: words_of(bad), field }
    }

    /// The first field of the way to pay that is open.
    pub(super) fn first_field(&self) -> String {
        let open = self.pushes.iter().find(|push| push.open).map_or("card", |push| push.kind);
        format!("{open}-1")
    }
}

const fn field_of(bad: BadCard) -> &'static str {
    match bad {
        BadCard::None | BadCard::Gone => "card-1",
        BadCard::Empty | BadCard::Number | BadCard::NoToken => "token",
    }
}

const fn words_of(bad: Bad) -> &'static str {
    match bad {
        Bad::Method => "This order cannot be paid in that way. Choose another one.",
        Bad::Card(BadCard::None) => "Choose a card.",
        Bad::Card(BadCard::Gone) => "This saved card is not there any more. Choose another card.",
        Bad::Card(BadCard::Empty) => "Enter a card token, or choose a card above.",
        Bad::Card(BadCard::Number) => "This is a card number. Enter a token such as tok_visa; the number was not kept.",
        Bad::Card(BadCard::NoToken) => "A token is at most 255 letters, digits and signs, without blanks.",
        Bad::Provider(PushKind::MobileMoney) => "Choose your mobile money service.",
        Bad::Provider(PushKind::Bank) => "Choose your bank.",
        Bad::Provider(PushKind::Wallet) => "Choose your wallet.",
        Bad::Phone(_) => "Enter a phone number with + and the country code.",
    }
}

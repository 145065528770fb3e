//! What is filled into the templates in `api/templates/pay`. Askama escapes every value for HTML; none is marked as safe.

use super::{
    assets,
    form::{self, BadCard, Intent},
    saved::SavedCard,
    words::{self, Deadline},
};
use askama::Template;
use boxoffice_common::domain::{
    checkout::Checkout,
    hosted::{Hosted, UiMode},
    settings::Settings,
};

/// Who sells, as every page shows it.
pub(super) struct Shop {
    name: String,
    /// Six hexadecimal digits.
    color: Option<String>,
    support_email: Option<String>,
    test: bool,
    embedded: bool,
    assets: &'static str,
}

impl Shop {
    pub(super) fn of(checkout: &Checkout, hosted: &Hosted, settings: &Settings) -> Self {
        Self {
            name: settings.name.clone().unwrap_or_else(|| checkout.scope.tenant().to_owned()),
            color: settings.color.map(|color| color.to_string().trim_start_matches('#').to_owned()),
            support_email: settings.support_email.clone(),
            test: !checkout.scope.is_live(),
            embedded: hosted.ui_mode == UiMode::Embedded,
            assets: &assets::VERSION,
        }
    }

    /// Where nobody knows which shop it is about.
    pub(super) fn nobody() -> Self {
        let (color, support_email) = (None, None);
        Self { name: "Payment".to_owned(), color, support_email, test: false, embedded: false, assets: &assets::VERSION }
    }
}

/// What is bought.
pub(super) struct Bill {
    lines: Vec<BillLine>,
    subtotal: String,
    discount: Option<String>,
    promo_code: Option<String>,
    tax: Option<String>,
    total: String,
}

struct BillLine {
    name: String,
    detail: Option<String>,
    amount: String,
}

impl Bill {
    pub(super) fn of(checkout: &Checkout) -> Self {
        let order = &checkout.order;
        let money = |amount| words::money(order.currency, amount);
        let some = |amount: boxoffice_common::domain::money::Amount| (!amount.is_zero()).then(|| money(amount));
        let line = |line: &boxoffice_common::domain::order::Line| BillLine {
            name: line.name.clone(),
            detail: words::detail(order.currency, line),
            amount: money(line.amount),
        };
        Self {
            lines: order.lines.iter().map(line).collect(),
            subtotal: money(order.totals.subtotal),
            discount: some(order.totals.discount),
            promo_code: order.promo_code.as_ref().map(|code| code.to_string()),
            tax: some(order.totals.tax),
            total: money(order.totals.total),
        }
    }

    fn has_parts(&self) -> bool {
        self.discount.is_some() || self.tax.is_some()
    }
}

/// Where a form goes, and its proofs.
pub(super) struct FormParts {
    action: String,
    checkout: String,
    n: u32,
    pay: String,
    cancel: String,
}

impl FormParts {
    pub(super) fn of(checkout: &Checkout, hosted: &Hosted, link: &str) -> Self {
        let n = checkout.next_n();
        let proof = |intent| form::proof(hosted, &checkout.id, n, intent);
        Self { action: link.to_owned(), checkout: checkout.id.to_string(), n, pay: proof(Intent::Pay), cancel: proof(Intent::Cancel) }
    }
}

/// A card to be chosen: a saved one, or one that the sandbox knows.
pub(super) struct Choice {
    value: String,
    name: String,
    words: String,
    checked: bool,
}

const TEST_CARDS: [(&str, &str, &str); 5] = [
    ("tok_visa", "Card that pays", "Approved at once"),
    ("tok_3ds", "Card with a bank’s check", "Your bank asks you to confirm"),
    ("tok_declined", "Card that is declined", "The bank says no"),
    ("tok_insufficient_funds", "Card without enough money", "Declined for lack of funds"),
    ("tok_expired_card", "Card that has expired", "Declined as too old"),
];

/// The cards that the page offers.
pub(super) fn offered() -> Vec<&'static str> {
    TEST_CARDS.iter().map(|(token, ..)| *token).collect()
}

/// What went wrong, above the form: a heading, words, and the field that they lead to.
pub(super) struct FormProblem {
    heading: &'static str,
    words: &'static str,
    field: &'static str,
}

#[derive(Template)]
#[template(path = "pay/form.html")]
pub(super) struct FormPage {
    shop: Shop,
    bill: Bill,
    deadline: Deadline,
    form: FormParts,
    cards: Vec<Choice>,
    has_saved: bool,
    other_checked: bool,
    problem: Option<FormProblem>,
    token_error: Option<&'static str>,
}

impl FormPage {
    /// `bad`: what is wrong with what was just sent. Else the last no, if there was one.
    pub(super) fn new(
        checkout: &Checkout,
        shop: Shop,
        deadline: Deadline,
        form: FormParts,
        saved: Vec<SavedCard>,
        bad: Option<BadCard>,
    ) -> Self {
        let (problem, token_error) = match bad {
            Some(bad) => {
                let (words, field) = match bad {
                    BadCard::None => ("Choose a card.", "card-1"),
                    BadCard::Gone => ("This saved card is not there any more. Choose another card.", "card-1"),
                    BadCard::Empty => ("Enter a card token, or choose a card above.", "token"),
                    BadCard::Number => ("This is a card number. Enter a token such as tok_visa; the number was not kept.", "token"),
                    BadCard::NoToken => ("A token is at most 255 letters, digits and signs, without blanks.", "token"),
                };
                (Some(FormProblem { heading: "The payment was not sent", words, field }), (field == "token").then_some(words))
            }
            None => {
                let no = |error| FormProblem { heading: "The payment did not go through", words: words::no(error), field: "card-1" };
                (checkout.error.as_ref().map(no), None)
            }
        };
        let other_checked = token_error.is_some();
        let has_saved = !saved.is_empty();
        let test = TEST_CARDS.iter().map(|(token, name, words)| [*token, *name, *words].map(str::to_owned));
        let offered = saved.into_iter().map(|SavedCard { value, name, words }| [value, name, words]).chain(test);
        let card = |(at, [value, name, words]): (usize, [String; 3])| Choice { value, name, words, checked: at == 0 && !other_checked };
        let cards = offered.enumerate().map(card).collect();
        Self { shop, bill: Bill::of(checkout), deadline, form, cards, has_saved, other_checked, problem, token_error }
    }
}

#[derive(Template)]
#[template(path = "pay/wait.html")]
pub(super) struct WaitPage {
    pub(super) shop: Shop,
    pub(super) bill: Bill,
    pub(super) heading: &'static str,
    pub(super) words: &'static str,
    pub(super) bank: Option<String>,
    pub(super) again: String,
}

#[derive(Template)]
#[template(path = "pay/bank.html")]
pub(super) struct BankPage {
    pub(super) shop: Shop,
    pub(super) bill: Bill,
    pub(super) deadline: Deadline,
    pub(super) form: FormParts,
    pub(super) bank: String,
    pub(super) again: String,
}

#[derive(Template)]
#[template(path = "pay/end.html")]
pub(super) struct EndPage {
    pub(super) shop: Shop,
    pub(super) bill: Bill,
    /// `paid`, `bad`, or neither.
    pub(super) kind: &'static str,
    pub(super) mark: &'static str,
    pub(super) heading: &'static str,
    pub(super) words: String,
    pub(super) back: Option<String>,
    pub(super) checkout: String,
}

#[derive(Template)]
#[template(path = "pay/problem.html")]
pub(super) struct ProblemPage {
    pub(super) shop: Shop,
    pub(super) heading: &'static str,
    pub(super) words: &'static str,
    pub(super) again: Option<String>,
}

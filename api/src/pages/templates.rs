//! What is filled into the templates in `api/templates/pay`. Askama escapes every value for HTML; none is marked as safe.

use super::{
    assets,
    form::{self, Bad, Intent},
    methods::{Methods, Mistake},
    words::{self, Deadline},
};
use askama::Template;
use boxoffice_common::domain::{
    checkout::Checkout,
    hosted::{self, Hosted, UiMode},
    line::{Item, Line},
    settings::Settings,
};
use std::borrow::Cow;

const NOT_SENT: &str = "The payment was not sent";

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
            color: hosted.looks.color.or(settings.color).map(|color| color.to_string().trim_start_matches('#').to_owned()),
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
    title: Option<String>,
    description: Option<String>,
    lines: Vec<BillLine>,
    subtotal: String,
    discount: Option<String>,
    promo_code: Option<String>,
    tax: Option<String>,
    total: String,
}

struct BillLine {
    name: String,
    about: Option<String>,
    detail: Option<String>,
    amount: String,
}

impl Bill {
    pub(super) fn of(checkout: &Checkout) -> Self {
        let order = &checkout.order;
        let money = |amount| order.currency.told(amount);
        let some = |amount: boxoffice_common::domain::money::Amount| (!amount.is_zero()).then(|| money(amount));
        let line = |line: &Line| BillLine {
            name: line.name.clone(),
            about: if let Item::Custom(about) = &line.item { about.description.clone() } else { None },
            detail: words::detail(order.currency, line),
            amount: money(line.amount),
        };
        let looks = order.hosted().map(|(_, hosted)| &hosted.looks);
        Self {
            title: looks.and_then(|looks| looks.title.clone()),
            description: looks.and_then(|looks| looks.description.clone()),
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
    /// Of the form that has the question taken back, where there is one.
    another: Option<String>,
    /// Somebody was asked for money: it may be there before the cancel is.
    may_be_paid: bool,
}

impl FormParts {
    pub(super) fn of(checkout: &Checkout, hosted: &Hosted, link: &str) -> Self {
        let n = checkout.next_n();
        let proof = |intent| form::proof(hosted, &checkout.id, n, intent);
        let may_be_paid = checkout.open_attempt().is_some();
        let (pay, cancel) = (proof(Intent::Pay), proof(Intent::Cancel));
        let another = hosted::may_take_back(checkout).map(|_| proof(Intent::Another));
        Self { action: link.to_owned(), checkout: checkout.id.to_string(), n, pay, cancel, another, may_be_paid }
    }
}

/// What went wrong, above the form: a heading, words, and the field that they lead to.
pub(super) struct FormProblem {
    heading: &'static str,
    words: Cow<'static, str>,
    field: String,
}

#[derive(Template)]
#[template(path = "pay/form.html")]
pub(super) struct FormPage {
    shop: Shop,
    bill: Bill,
    deadline: Deadline,
    form: FormParts,
    methods: Methods,
    problem: Option<FormProblem>,
}

impl FormPage {
    /// `bad`: what is wrong with what was just sent. Else the last no, if there was one.
    pub(super) fn new(checkout: &Checkout, shop: Shop, deadline: Deadline, form: FormParts, methods: Methods, bad: Option<Bad>) -> Self {
        let problem = match bad {
            Some(bad) => {
                let Mistake { words, field } = methods.mistake(bad);
                Some(FormProblem { heading: NOT_SENT, words: words.into(), field })
            }
            None => checkout.error.as_ref().map(|error| FormProblem {
                heading: words::heading_of_no(error),
                words: words::no(error).into(),
                field: methods.first_field(),
            }),
        };
        Self { shop, bill: Bill::of(checkout), deadline, form, methods, problem }
    }

    /// The same to somebody whose card is not sent now.
    pub(super) fn held(mut self, words: String) -> Self {
        self.problem = Some(FormProblem { heading: NOT_SENT, words: words.into(), field: self.methods.first_field() });
        self
    }
}

/// A page on which somebody else asks the customer.
pub(super) struct Bank {
    /// `your bank`, or by its name.
    pub(super) name: String,
    /// The page's address.
    pub(super) url: String,
}

#[derive(Template)]
#[template(path = "pay/wait.html")]
pub(super) struct WaitPage {
    pub(super) shop: Shop,
    pub(super) bill: Bill,
    pub(super) heading: String,
    pub(super) words: String,
    /// Whose answer is waited for, and who can still be gone back to.
    pub(super) bank: Option<Bank>,
    /// Where a customer who has come back without an answer finds every other way on.
    pub(super) otherwise: String,
    pub(super) again: String,
}

#[derive(Template)]
#[template(path = "pay/bank.html")]
pub(super) struct BankPage {
    pub(super) shop: Shop,
    pub(super) bill: Bill,
    pub(super) deadline: Deadline,
    pub(super) form: FormParts,
    pub(super) bank: Bank,
    pub(super) again: String,
}

#[derive(Template)]
#[template(path = "pay/phone.html")]
pub(super) struct PhonePage {
    pub(super) shop: Shop,
    pub(super) bill: Bill,
    pub(super) deadline: Deadline,
    pub(super) form: FormParts,
    /// Who asks.
    pub(super) provider: String,
    /// All but its last digits are hidden.
    pub(super) phone: Option<String>,
    pub(super) again: String,
}

#[derive(Template)]
#[template(path = "pay/pending.html")]
pub(super) struct PendingPage {
    pub(super) shop: Shop,
    pub(super) bill: Bill,
    pub(super) deadline: Deadline,
    pub(super) form: FormParts,
    /// Who waits for the money.
    pub(super) provider: String,
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

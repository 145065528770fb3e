//! How a checkout is paid, as far as it can be known before a worker comes to it: whose the methods are, whether somebody takes them, and what
//! each of them pays.

use super::{Buyer, Intake, Page, Submission};
use crate::problem::Problem;
use boxoffice_common::domain::{
    balance,
    bought_membership::Spendable,
    customer::Customer,
    error::{Code, CodedError},
    hosted::Hosted,
    leg::{Leg, Tender},
    money::Amount,
    payment_intent,
    pricing::{Priced, Shelf},
    push,
    redeem::{self, Redeeming, Whose},
    routing::{Candidate, Method, Routing},
    tender::{self, Asked},
    time::Timestamp,
};
use futures::future::try_join_all;

impl Intake {
    /// How it is paid. Whoever names what is kept here waits for a look at it, and nobody else.
    pub(super) async fn legs(
        &self,
        submission: &Submission,
        priced: &Priced,
        shelf: &Shelf,
        routing: &Routing,
        now: Timestamp,
    ) -> Result<Vec<Leg>, Problem> {
        let total = priced.totals.total;
        let methods = submission.payment.as_deref();
        let is_kept = |method: &Asked| {
            matches!(method.tender, Tender::Membership { .. } | Tender::SavedMethod { .. } | Tender::Balance {} | Tender::PaymentIntent(_))
        };
        let Some(methods) = methods.filter(|methods| methods.iter().any(is_kept)) else { return check_payment(methods, total, routing) };
        let mut methods = methods.to_vec();
        self.unseal(submission, &mut methods).await?;
        self.own_intents(submission, &mut methods).await?;
        let looks = redeem::named(&methods).map(|id| self.store.spendable(&submission.scope, id));
        let bought: Vec<Spendable> = try_join_all(looks).await?.into_iter().flatten().collect();
        let buyer = match &submission.buyer {
            Some(Buyer::Known(customer)) => Whose::Known(customer),
            Some(Buyer::Described(customer)) if customer.external_id.is_some() => Whose::ToBeFound,
            Some(Buyer::Described(_)) | None => Whose::Nobody,
        };
        redeem::cover(&mut methods, &Redeeming { lines: &priced.lines, sessions: &shelf.sessions, bought: &bought, buyer, now })?;
        let legs = check_payment(Some(&methods), total, routing)?;
        self.check_balance(submission, &methods, &legs).await?;
        Ok(legs)
    }

    /// Gives saved methods their tokens: those of the checkout's own customer, who pays, and those that their owner has shared with the
    /// customer's family.
    async fn unseal(&self, submission: &Submission, methods: &mut [Asked]) -> Result<(), Problem> {
        for method in methods {
            let Tender::SavedMethod { id, token, owner } = &mut method.tender else { continue };
            let found = match &submission.buyer {
                Some(Buyer::Known(customer)) => match owner.as_ref().filter(|owner| *owner != customer) {
                    None => self.store.method(&submission.scope, customer, id).await?,
                    Some(owner) => self.store.method_shared_with(&submission.scope, customer, owner, id).await?,
                },
                Some(Buyer::Described(_)) | None => None,
            };
            let words = "the customer has no such payment method";
            let missing = || CodedError::new(Code::PaymentMethodInvalid, words).at(format!("{}.id", method.param));
            *token = Some(found.ok_or_else(missing)?.token);
        }
        Ok(())
    }

    /// Says of payment intents who pays with them: the checkout's own customer, by all its names, and its family.
    async fn own_intents(&self, submission: &Submission, methods: &mut [Asked]) -> Result<(), Problem> {
        for method in methods {
            let Tender::PaymentIntent(intent) = &mut method.tender else { continue };
            let (ids, externals) = match &submission.buyer {
                None => return Err(Problem::missing("customer")),
                Some(Buyer::Known(customer)) => (vec![customer.clone()], Vec::new()),
                Some(Buyer::Described(customer)) => (Vec::new(), customer.external_id.iter().cloned().collect()),
            };
            let mut found = self.store.customers_by_name(&submission.scope, &ids, &externals).await?;
            if let Some(Buyer::Described(customer)) = &submission.buyer {
                // Who is not there yet is made as described.
                found.is_empty().then(|| found.push(Customer::clone(customer)));
            }
            intent.account = submission.scope.as_str().to_owned();
            intent.owners = found.first().map(payment_intent::owners).unwrap_or_default();
        }
        Ok(())
    }

    /// Others may spend it until a worker comes to it; whether it has as much is known now.
    async fn check_balance(&self, submission: &Submission, methods: &[Asked], legs: &[Leg]) -> Result<(), Problem> {
        let Some((leg, method)) = legs.iter().zip(methods).find(|(leg, _)| matches!(leg.tender, Tender::Balance {})) else { return Ok(()) };
        let currency = submission.cart.currency;
        let balances = match &submission.buyer {
            None => return Err(Problem::missing("customer")),
            // That there is no such customer is told by whoever looks for it.
            Some(Buyer::Known(customer)) => self.store.balances_of(&submission.scope, customer).await?,
            Some(Buyer::Described(customer)) if customer.external_id.is_some() => None,
            Some(Buyer::Described(_)) => Some(Vec::new()),
        };
        let Some(balances) = balances else { return Ok(()) };
        let available = balances.iter().find(|balance| balance.currency == currency).map_or(Amount::ZERO, |balance| balance.available);
        if leg.amount <= available {
            return Ok(());
        }
        let at = format!("{}.amount", method.param);
        Err(CodedError::new(Code::BalanceInsufficient, balance::insufficient(available, currency)).at(at).into())
    }

    /// A page with a link of its own, on which something can be paid with.
    pub(super) fn open_page(&self, page: &Page, routing: &Routing) -> Result<Hosted, Problem> {
        if !takes(routing, can_be_chosen) {
            return Err(CodedError::new(Code::ProviderNotConfigured, NOBODY).at("payment.hosted").into());
        }
        // What the options leave, and what somebody takes, have to be the same for one way to pay at least.
        let has_card =
            !page.options.card.disable && takes(routing, |method, candidate| method != Method::Push && can_be_chosen(method, candidate));
        let has_push = push::offers_push(&page.options) && takes(routing, |method, _| method == Method::Push);
        if !has_card && !has_push {
            return Err(Problem::unsupported("payment.hosted.options", "nothing is left that the page could take"));
        }
        let hosted = Hosted::new(page.options.clone(), page.ui_mode, self.public_url.as_str(), &self.entropy);
        Ok(Hosted { looks: page.looks.clone(), ..hosted })
    }
}

/// Why nobody can be asked for money.
const NOBODY: &str = "no payment provider that takes this is set up; the sandbox is for test keys";
/// The same of a page within the shop's own.
const NOBODY_EMBEDS: &str =
    "no payment provider is set up whose page can stand within yours: that takes an account with stripe that has its publishable_key";

/// Whether a customer can pay so on a page of ours.
fn can_be_chosen(method: Method, candidate: &Candidate) -> bool {
    matches!(method, Method::ProviderPage | Method::Push) || (method == Method::Card && candidate.route.account.is_none())
}

/// Whether somebody takes a payment of this kind, of those who come into question by themselves or by a rule.
fn takes(routing: &Routing, is_it: impl Fn(Method, &Candidate) -> bool) -> bool {
    routing
        .candidates
        .iter()
        .filter(|candidate| routing.may_ask(candidate, &[]))
        .any(|candidate| candidate.takes.iter().any(|method| is_it(*method, candidate)))
}

/// Whether a provider's page may have to send the customer back to us: from our own page it comes back there.
pub(super) fn may_send_elsewhere(legs: &[Leg], routing: &Routing) -> bool {
    let is_asked = |leg: &Leg| leg.is_outside() && !matches!(leg.tender, Tender::Hosted(_));
    legs.iter().any(is_asked) && routing.candidates.iter().any(|candidate| candidate.route.account.is_some())
}

fn check_payment(payment: Option<&[Asked]>, total: Amount, routing: &Routing) -> Result<Vec<Leg>, Problem> {
    let Some(methods) = payment else {
        return if total.is_zero() { Ok(vec![Leg { amount: total, tender: Tender::Free {} }]) } else { Err(Problem::missing("payment")) };
    };
    // An intent that nothing is due on is not taken.
    let asked = |method: &Asked| Method::of(&method.tender).filter(|asked| *asked != Method::PaymentIntent || !total.is_zero());
    let is_taken = |method: &Asked, asked: Method| {
        let providers = method.tender.providers();
        routing.candidates.iter().any(|candidate| candidate.takes.contains(&asked) && routing.may_ask(candidate, &providers))
    };
    if let Some(method) = methods.iter().find(|method| asked(method).is_some_and(|asked| !is_taken(method, asked))) {
        let words = if asked(method) == Some(Method::EmbeddedPage) { NOBODY_EMBEDS } else { NOBODY };
        return Err(CodedError::new(Code::ProviderNotConfigured, words).at(format!("{}.type", method.param)).into());
    }
    Ok(tender::legs(methods, total)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::{
        routing::{nowhere, to_the_sandbox},
        secret::Secret,
    };

    fn pay(tender: Tender, amount: Option<i64>, total: i64) -> Result<Tender, &'static str> {
        pay_by(&to_the_sandbox(), tender, amount, total)
    }

    fn pay_by(routing: &Routing, tender: Tender, amount: Option<i64>, total: i64) -> Result<Tender, &'static str> {
        let method = Asked { tender, amount: amount.map(Amount::from_minor), param: "payment.methods[0]".to_owned() };
        let legs = check_payment(Some(&[method]), Amount::from_minor(total), routing).map_err(|problem| problem.code())?;
        assert_eq!(legs.iter().map(|leg| leg.amount.minor()).sum::<i64>(), total);
        Ok(legs.into_iter().next().unwrap().tender)
    }

    #[test]
    fn a_card_pays_where_somebody_takes_it() {
        let card = || Tender::card(Secret::new("tok_visa".to_owned()));
        let cash = || Tender::Custom { name: "cash".to_owned(), note: None };
        assert_eq!(pay_by(&to_the_sandbox(), card(), None, 1500), Ok(card()));
        for total in [0, 1500] {
            assert_eq!(pay_by(&nowhere(), card(), None, total), Err("provider_not_configured"));
            assert_eq!(pay_by(&nowhere(), cash(), None, total), Ok(cash()));
        }
        assert_eq!(pay_by(&nowhere(), Tender::Free {}, None, 0), Ok(Tender::Free {}));
        let mut only_apart = Routing::clone(&to_the_sandbox());
        only_apart.candidates[0].takes.push(Method::ProviderPage);
        let page = |is_embedded| Tender::ProviderPage { is_embedded };
        assert_eq!(pay_by(&only_apart, page(false), None, 1500), Ok(page(false)));
        assert_eq!(pay_by(&only_apart, page(true), None, 1500), Err("provider_not_configured"));
    }

    #[test]
    fn a_payment_is_for_the_whole_total_and_free_is_for_nothing() {
        let cash = || Tender::Custom { name: "cash".to_owned(), note: None };
        assert_eq!(pay(cash(), Some(1500), 1500), Ok(cash()));
        assert_eq!(pay(cash(), None, 1500), Ok(cash()));
        assert_eq!(pay(cash(), Some(1499), 1500), Err("payment_amount_mismatch"));
        assert_eq!(pay(Tender::Free {}, None, 0), Ok(Tender::Free {}));
        assert_eq!(pay(Tender::Free {}, None, 1), Err("payment_method_invalid"));
        assert_eq!(check_payment(None, Amount::ZERO, &nowhere()).ok(), Some(vec![Leg { amount: Amount::ZERO, tender: Tender::Free {} }]));
        assert_eq!(check_payment(None, Amount::from_minor(1), &nowhere()).unwrap_err().code(), "parameter_missing");
    }
}

//! A confirmation: is the customer asked to authenticate, and what does the bank say?

use super::{
    account::{Account, Call, Due},
    cards::{AUTHENTICATION_REQUIRED, Afterwards, Challenge, Decline},
    charges::Charge,
    events::Snapshot,
    form::Params,
    intents::{Intent, Status},
    methods::{Method, consumed, declined},
    refusal::Refusal,
};
use serde_json::Value;

/// How a payment is confirmed.
#[derive(Debug, Clone, Default)]
pub(super) struct Confirmation {
    pub(super) off_session: bool,
    pub(super) error_on_requires_action: bool,
    pub(super) return_url: Option<String>,
}

impl Confirmation {
    pub(super) fn read(params: &Params) -> Result<Self, Refusal> {
        let off_session = match params.text("off_session") {
            Some("one_off" | "recurring") => true,
            _ => params.boolean("off_session")?.unwrap_or(false),
        };
        let return_url = params.owned("return_url");
        if return_url.as_ref().is_some_and(|url| url::Url::parse(url).is_err()) {
            return Err(Refusal::parameter("return_url", "url_invalid", "Not a valid URL"));
        }
        Ok(Self { off_session, error_on_requires_action: params.boolean("error_on_requires_action")?.unwrap_or(false), return_url })
    }
}

impl Account {
    /// Refuses a confirmation without a way back where the customer may be sent away.
    pub(super) fn check_return_url(intent: &Intent, confirmation: &Confirmation) -> Result<(), Refusal> {
        if intent.automatic == Some(true) && confirmation.return_url.is_none() && intent.return_url.is_none() && intent.session.is_none() {
            return Err(Refusal::invalid(
                "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods \
                 might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based \
                 payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to \
                 `never` when creating Setup Intents and Payment Intents.",
            ));
        }
        Ok(())
    }

    /// Refuses a method of another customer, and one that is used up.
    pub(super) fn check_owner(&self, method: &str, customer: Option<&str>) -> Result<(), Refusal> {
        let method = self.method(method)?;
        match &method.customer {
            _ if method.consumed => Err(consumed()),
            None => Ok(()),
            Some(owner) if customer == Some(owner) => Ok(()),
            Some(_) if customer.is_none() => Err(Refusal::invalid(
                "The PaymentMethod provided is attached to a Customer; please include that Customer in the `customer` parameter.",
            )
            .executed()),
            Some(_) => {
                let message = format!("The payment method {} does not belong to the Customer you supplied.", method.id);
                Err(Refusal::invalid(message).executed())
            }
        }
    }

    /// Confirms a payment that has a method. A decline is an error, and has changed the payment all the same.
    pub(super) fn confirm(&mut self, call: &Call, id: &str, confirmation: Confirmation) -> Result<(), Refusal> {
        let method = self.method_of(id)?;
        let page = format!("{}/authenticate/{id}", self.pages);
        let intent = self.intent_mut(id)?;
        if confirmation.return_url.is_some() {
            intent.return_url = confirmation.return_url.clone();
        }
        intent.last_error = None;
        let challenge = match method.card.challenge {
            Challenge::Never => false,
            Challenge::Always => true,
            Challenge::UnlessSetUp => !method.set_up,
        };
        if !challenge {
            return self.authorise(call, id, false);
        }
        if confirmation.off_session || confirmation.error_on_requires_action {
            return Err(self.decline(call, id, AUTHENTICATION_REQUIRED));
        }
        // Without a way back, the client's own script asks the customer.
        let page = intent.return_url.is_some().then(|| format!("{page}?client_secret={}", intent.client_secret));
        (intent.status, intent.action) = (Status::RequiresAction, Some(page));
        let shown = intent.show();
        self.emit(call, "payment_intent.requires_action", &shown);
        Ok(())
    }

    fn method_of(&self, id: &str) -> Result<Method, Refusal> {
        let method = self.intent(id)?.method.as_deref().ok_or_else(|| Refusal::missing_parameter("payment_method"))?;
        self.method(method).cloned()
    }

    /// The customer has answered on the page of 3-D Secure. `Err`: the payment did not wait for it, or was declined then.
    pub(super) fn authenticated(&mut self, call: &Call, id: &str, success: bool) -> Result<(), Refusal> {
        let intent = self.intent(id)?;
        if intent.status != Status::RequiresAction {
            return Err(intent.unexpected("authenticate"));
        }
        if success {
            return self.authorise(call, id, true);
        }
        let refusal = Refusal::card(
            "payment_intent_authentication_failure",
            "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
        );
        Err(self.fail(call, id, refusal))
    }

    /// Asks the bank.
    fn authorise(&mut self, call: &Call, id: &str, authenticated: bool) -> Result<(), Refusal> {
        let method = self.method_of(id)?;
        if let Some(arrives) = method.card.delayed {
            return self.ask_bank(call, id, &method, arrives);
        }
        if let Some(decline) = method.card.decline {
            return Err(self.decline(call, id, decline));
        }
        let captured = self.intent(id)?.capture_method != "manual";
        let charge = Charge::approved(self.ids.next("ch"), self.intent(id)?, &method, captured, authenticated, self.now());
        let charge_id = charge.id.clone();
        self.charges.insert(charge_id.clone(), charge);
        let intent = self.intent_mut(id)?;
        (intent.action, intent.latest_charge) = (None, Some(charge_id.clone()));
        let asynchronous = intent.capture_method == "automatic_async";
        let (kind, amount) = if captured {
            (intent.status, intent.amount_received) = (Status::Succeeded, intent.amount);
            ("payment_intent.succeeded", intent.amount)
        } else {
            (intent.status, intent.amount_capturable) = (Status::RequiresCapture, intent.amount);
            ("payment_intent.amount_capturable_updated", 0)
        };
        let snapshot = Snapshot::Intent(Box::new(intent.clone()));
        self.after_use(call, id, &method, authenticated);
        if captured && !asynchronous {
            self.book_charge(&charge_id, amount);
        }
        self.tell_of_charge(call, "charge.succeeded", &charge_id);
        self.tell(call, kind, snapshot);
        if captured {
            self.after_capture(call, &charge_id, &method, asynchronous);
        }
        Ok(())
    }

    /// What a captured charge brings: its fee a little later, and what its card is known for.
    pub(super) fn after_capture(&mut self, call: &Call, charge: &str, method: &Method, asynchronous: bool) {
        if asynchronous {
            self.schedule(self.pace.fee_ms, Due::Fee(charge.to_owned()));
        }
        if let Afterwards::Dispute(reason) = method.card.afterwards {
            // A charge that there is can be disputed once: this is its first.
            let _ = self.open_dispute(call, charge, reason);
        }
    }

    /// A method is saved when that was asked for, and used up when it belongs to nobody.
    fn after_use(&mut self, call: &Call, intent: &str, method: &Method, authenticated: bool) {
        let Ok(intent) = self.intent(intent) else { return };
        let save = intent.setup_future_usage.and(intent.customer.clone()).filter(|_| method.customer.is_none());
        let set_up = authenticated && intent.setup_future_usage.is_some();
        if let Some(customer) = &save {
            self.attach(call, &method.id, customer);
        }
        if let Some(method) = self.methods.get_mut(&method.id) {
            method.set_up |= set_up;
            method.consumed = method.customer.is_none();
        }
    }

    /// The bank said no.
    fn decline(&mut self, call: &Call, id: &str, decline: Decline) -> Refusal {
        let (Ok(intent), Ok(method)) = (self.intent(id).cloned(), self.method_of(id)) else {
            return Refusal::no_such("payment_intent", id, "intent");
        };
        let charge = Charge::declined(self.ids.next("ch"), &intent, &method, decline, self.now());
        let (charge_id, shown) = (charge.id.clone(), charge.show());
        self.charges.insert(charge_id.clone(), charge);
        if let Ok(intent) = self.intent_mut(id) {
            intent.latest_charge = Some(charge_id.clone());
        }
        self.emit(call, "charge.failed", &shown);
        self.fail(call, id, declined(decline).with("charge", charge_id))
    }

    /// The payment is back where it needs a method, and says why.
    pub(super) fn fail(&mut self, call: &Call, id: &str, refusal: Refusal) -> Refusal {
        let method = self.method_of(id).map_or(Value::Null, |method| method.show());
        let refusal = refusal.with("payment_method", method);
        let Ok(intent) = self.intent_mut(id) else { return refusal };
        (intent.status, intent.method, intent.action) = (Status::RequiresPaymentMethod, None, None);
        intent.last_error = Some(refusal.members());
        let shown = intent.show();
        self.emit(call, "payment_intent.payment_failed", &shown);
        refusal.with("payment_intent", shown)
    }
}

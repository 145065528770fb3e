//! Payments from a bank account, whose bank answers later. <https://docs.stripe.com/payments/ach-direct-debit>.

use super::{
    account::{Account, Call, Due},
    cards::Decline,
    charges::Charge,
    intents::Status,
    methods::Method,
    refusal::Refusal,
};

const ACCOUNT_CLOSED: Decline = Decline {
    code: "account_closed",
    decline_code: "account_closed",
    message: "The customer's bank account has been closed.",
    network: Some("R02"),
};

impl Account {
    /// The bank is asked: the payment is `processing` until it answers.
    pub(super) fn ask_bank(&mut self, call: &Call, id: &str, method: &Method, arrives: bool) -> Result<(), Refusal> {
        let charge_id = self.ids.next("ch");
        let charge = Charge::pending(charge_id.clone(), self.intent(id)?, method, self.now());
        let shown_charge = charge.show();
        self.charges.insert(charge_id.clone(), charge);
        let intent = self.intent_mut(id)?;
        (intent.status, intent.latest_charge, intent.action) = (Status::Processing, Some(charge_id), None);
        let shown = intent.show();
        self.emit(call, "charge.pending", &shown_charge);
        self.emit(call, "payment_intent.processing", &shown);
        self.schedule(self.pace.bank_ms, Due::BankAnswers(id.to_owned(), arrives));
        Ok(())
    }

    /// The bank has answered.
    pub(super) fn bank_answers(&mut self, id: &str, arrives: bool) {
        let call = Call::default();
        let Some(intent) = self.intents.get_mut(id).filter(|intent| intent.status == Status::Processing) else { return };
        let (charge, session) = (intent.latest_charge.clone().unwrap_or_default(), intent.session.clone());
        let amount = intent.amount;
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.settle((!arrives).then_some(ACCOUNT_CLOSED));
        }
        if arrives {
            self.book_charge(&charge, amount);
        }
        let shown_charge = self.show(&charge).unwrap_or_default();
        self.emit(&call, if arrives { "charge.succeeded" } else { "charge.failed" }, &shown_charge);
        if arrives {
            let Some(intent) = self.intents.get_mut(id) else { return };
            (intent.status, intent.amount_received) = (Status::Succeeded, amount);
            let shown = intent.show();
            self.emit(&call, "payment_intent.succeeded", &shown);
        } else {
            let refusal = Refusal::card("payment_intent_payment_attempt_failed", ACCOUNT_CLOSED.message);
            // Nobody waits for the answer: the payment carries it.
            let _ = self.fail(&call, id, refusal.with("charge", charge));
        }
        if let Some(session) = session {
            self.session_settled(&call, &session, arrives);
        }
    }
}

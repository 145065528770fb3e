//! Many shoppers at once, who go on until they are sent home, and finish what they began.

use super::{
    order::{Order, Tender},
    page,
    shop::{Sale, Shop},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{ops::Range, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Which order comes next: the shopper's n-th.
pub type Plan = fn(n: usize, dice: &mut StdRng) -> Order;

/// Who comes.
pub struct Shoppers {
    pub count: u64,
    /// Nobody goes home before.
    pub orders_at_least: usize,
    /// Between two orders.
    pub thinks_ms: Range<u64>,
    pub plan: Plan,
}

/// Shoppers at work.
pub struct Crowd {
    closing: CancellationToken,
    shoppers: JoinSet<Vec<Sale>>,
}

impl Crowd {
    /// Lets them in. `seed` decides what they do.
    pub fn start(shop: &Arc<Shop>, shoppers: Shoppers, seed: u64) -> Self {
        let Shoppers { count, orders_at_least, thinks_ms, plan } = shoppers;
        let (closing, mut shoppers) = (CancellationToken::new(), JoinSet::new());
        for shopper in 0..count {
            let (shop, closing, thinks_ms) = (Arc::clone(shop), closing.clone(), thinks_ms.clone());
            shoppers.spawn(async move {
                let mut dice = StdRng::seed_from_u64(seed.wrapping_add(shopper));
                let (mut sales, mut n) = (Vec::new(), 0);
                while n < orders_at_least || !closing.is_cancelled() {
                    let key = format!("{seed}-{shopper}-{n}");
                    sales.push(visit(&shop, &key, plan(n, &mut dice), &mut dice).await);
                    n += 1;
                    let thinks = Duration::from_millis(dice.random_range(thinks_ms.clone()));
                    closing.run_until_cancelled(tokio::time::sleep(thinks)).await;
                }
                sales
            });
        }
        Self { closing, shoppers }
    }

    /// Lets nobody begin anything more, waits until everybody has had an answer, and collects what was accepted.
    pub async fn go_home(mut self) -> Vec<Sale> {
        self.closing.cancel();
        let mut sales = Vec::new();
        while let Some(theirs) = self.shoppers.join_next().await {
            sales.extend(theirs.expect("a shopper was content"));
        }
        sales
    }
}

/// A part that is given back, in cents.
const PART: i64 = 700;

/// One order; one in ten is posted twice at once, and one in twenty is called off if it still can be. One in eight is given back when it
/// was sold, whole or in part.
async fn visit(shop: &Shop, key: &str, order: Order, dice: &mut StdRng) -> Sale {
    let (twice, fickle) = (dice.random_ratio(1, 10), dice.random_ratio(1, 20));
    let undecided = order.tender == Tender::ThreeDs;
    let mut sale = if twice { shop.buy_twice_at_once(key, order).await } else { shop.buy(key, order).await };
    if undecided {
        await_page(shop, &sale).await;
    }
    let cards = sale.order.tender.on_the_page();
    match cards {
        // The one at the page does not know that the other one calls it off.
        Some(cards) if fickle => {
            let here = sale.clone();
            tokio::join!(page::pay(shop, &here, cards), shop.call_off(&mut sale));
        }
        Some(cards) => page::pay(shop, &sale, cards).await,
        None if fickle || undecided => shop.call_off(&mut sale).await,
        None => {}
    }
    if dice.random_ratio(1, 8) {
        // A credit goes back whole.
        let part = (dice.random_bool(0.5) && sale.order.tender != Tender::Credits).then_some(PART);
        await_end(shop, &sale).await;
        shop.give_back(&mut sale, part).await;
    }
    sale
}

/// Until it has ended, whichever way.
async fn await_end(shop: &Shop, sale: &Sale) {
    super::until("an end", super::PATIENCE, || async {
        let status = shop.get(&format!("/v1/checkouts/{}", sale.id)).await["status"].as_str().unwrap_or_default().to_owned();
        ["succeeded", "failed", "canceled", "expired"].contains(&status.as_str()).then_some(())
    })
    .await;
}

/// Until the provider's page is known, or there will be none.
async fn await_page(shop: &Shop, sale: &Sale) {
    super::until("a page to act on", super::PATIENCE, || async {
        let status = shop.get(&format!("/v1/checkouts/{}", sale.id)).await["status"].as_str().unwrap_or_default().to_owned();
        (!["queued", "processing"].contains(&status.as_str())).then_some(())
    })
    .await;
}

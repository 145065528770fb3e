//! The connection to PostgreSQL is cut at every step of a sale, before the request arrives and after it: a lost COMMIT
//! answer is one of them. Whatever is cut, the sale is made once.

use super::fixture::{Shop, approved};
use boxoffice_common::{
    domain::state::Status,
    ports::store::{Accepted, CatalogueStore, CheckoutStore, Next, Settled},
};
use boxoffice_testkit::proxy::{Cut, CuttingProxy};

/// More messages than a sale sends: the loop must come to a run that nothing cuts.
const MOST_STEPS: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_is_made_once_wherever_its_connection_is_cut() {
    let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
    let proxy = CuttingProxy::start(&url).await.unwrap();
    let shop = Shop::open(proxy.url(), &url, None).await;
    let session = shop.session("yoga", 1_000_000).await;
    let mut sold = 0;
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        let mut reached_the_end = false;
        for step in 0..MOST_STEPS {
            proxy.cut_at(step, cut);
            let new = shop.buy(&session, 1);
            let id = new.id.clone();
            let accepted = shop.store.accept(new.clone()).await;
            // The client would ask again with the same key; here its first answer must already be right.
            assert!(matches!(accepted, Ok(Accepted::Created { .. })), "{cut:?} at {step}: {accepted:?}");
            let token = format!("token-{cut:?}-{step}");
            let begun = shop.try_begin(&id, &token, std::time::Duration::from_secs(3600)).await.unwrap();
            let Next::Act { n, .. } = begun.next else { panic!("{cut:?} at {step}: {begun:?}") };
            let settled = shop.try_settle(&id, n, &token, approved(1500)).await.unwrap();
            // After a lost COMMIT answer the second run finds the first one's work.
            assert!(matches!(settled, Settled::Moved(_) | Settled::Already(Status::Succeeded)), "{cut:?} at {step}: {settled:?}");
            assert_eq!(shop.checkout(&id).await.status, Status::Succeeded);
            sold += 1;
            if !proxy.was_cut() {
                reached_the_end = true;
                break;
            }
        }
        assert!(reached_the_end, "{cut:?}: more than {MOST_STEPS} steps");
    }
    assert!(sold > 20, "only {sold} steps were cut");
    let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
    assert_eq!((left.sold, left.held), (sold, 0));
    shop.assert_clean().await;
}

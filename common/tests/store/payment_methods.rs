//! Saved payment methods: one of a customer's is the default, whoever races, and there is a bound.

use super::{
    fixture::{Shop, page},
    memberships::ada,
};
use boxoffice_common::{
    domain::{
        id::{CustomerId, PaymentMethodId},
        payment_method::{CardFace, MAX_METHODS},
        secret::Secret,
    },
    ports::store::*,
};
use futures::future::join_all;

fn method(shop: &Shop, customer: &CustomerId, n: u32, is_default: bool) -> PutMethod {
    let card = CardFace { brand: "visa".to_owned(), last4: "4242".to_owned(), exp_month: 1, exp_year: 2030 };
    let id = PaymentMethodId::parse(format!("pm_{n:03}")).unwrap();
    PutMethod {
        scope: shop.scope.clone(),
        customer: customer.clone(),
        id,
        token: Secret::new(format!("tok_{n}")),
        card,
        is_default,
        is_shared: false,
    }
}

async fn put_family(shop: &Shop, id: &str, family: Option<&str>) -> CustomerId {
    let customer = serde_json::from_value(serde_json::json!({"family": family})).unwrap();
    let id = CustomerId::parse(id).unwrap();
    shop.store.put_customer(&shop.scope, &id, &customer).await.unwrap().unwrap();
    id
}

over_both! {
    async fn a_method_is_its_owners_alone_until_he_shares_it_and_then_his_familys(shop) {
        let (ada, bo) = (put_family(&shop, "ada", Some("lovelace")).await, put_family(&shop, "bo", Some("lovelace")).await);
        let (eve, mallory) = (put_family(&shop, "eve", Some("moriarty")).await, put_family(&shop, "mallory", None).await);
        let (own, shared) = (method(&shop, &ada, 1, false), PutMethod { is_shared: true, ..method(&shop, &ada, 2, false) });
        let lonely = PutMethod { is_shared: true, ..method(&shop, &mallory, 3, false) };
        for put in [&own, &shared, &lonely] {
            assert!(matches!(shop.store.put_method(put).await.unwrap(), MethodPut::Created(kept) if kept.is_shared == put.is_shared));
        }
        let for_whom = async |customer: &CustomerId, put: &PutMethod| {
            shop.store.method_shared_with(&shop.scope, customer, &put.customer, &put.id).await.unwrap().map(|method| method.token)
        };
        assert_eq!(for_whom(&bo, &shared).await, Some(shared.token.clone()));
        assert_eq!((for_whom(&bo, &own).await, for_whom(&eve, &shared).await, for_whom(&mallory, &shared).await), (None, None, None));
        let nobody = put_family(&shop, "nobody", None).await;
        assert_eq!(for_whom(&nobody, &lonely).await, None, "who has no family has nobody in it");
        assert_eq!(shop.store.method_shared_with(&shop.other_scope(), &bo, &ada, &shared.id).await.unwrap(), None);
        // He takes his word back, or she leaves.
        put_family(&shop, "bo", Some("byron")).await;
        assert_eq!(for_whom(&bo, &shared).await, None);
        put_family(&shop, "bo", Some("lovelace")).await;
        shop.store.put_method(&PutMethod { is_shared: false, ..shared.clone() }).await.unwrap();
        assert_eq!(for_whom(&bo, &shared).await, None);
    }

    async fn of_methods_saved_at_once_as_the_default_one_is_and_there_are_no_more_than_allowed(shop) {
        let ada = ada(&shop).await;
        let puts: Vec<PutMethod> = (0..MAX_METHODS + 5).map(|n| method(&shop, &ada, n, true)).collect();
        let answers = join_all(puts.iter().map(|put| shop.store.put_method(put))).await;
        let refused = answers.iter().filter(|answer| matches!(answer, Ok(MethodPut::TooMany))).count();
        let created = answers.iter().filter(|answer| matches!(answer, Ok(MethodPut::Created(_)))).count();
        assert_eq!((created, refused), (MAX_METHODS as usize, 5), "{answers:?}");
        let kept = shop.store.methods_of(&shop.scope, &ada, &page(100)).await.unwrap();
        assert_eq!(kept.data.iter().filter(|method| method.is_default).count(), 1);
        let known = kept.data.first().unwrap();
        assert_eq!(shop.store.method(&shop.scope, &ada, &known.id).await.unwrap().as_ref(), Some(known));
        assert_eq!(shop.store.method(&shop.other_scope(), &ada, &known.id).await.unwrap(), None);
        assert!(shop.store.delete_method(&shop.scope, &ada, &known.id).await.unwrap());
        assert!(!shop.store.delete_method(&shop.scope, &ada, &known.id).await.unwrap());
        let nobody = CustomerId::parse("cus_nobody").unwrap();
        assert!(matches!(shop.store.put_method(&method(&shop, &nobody, 1, false)).await.unwrap(), MethodPut::CustomerMissing));
    }
}

/// A new `external_id` takes the customer's row out and puts it in again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_is_saved_for_a_customer_who_is_renamed_at_the_same_moment() {
    let shop = Shop::postgres().await;
    let ada = ada(&shop).await;
    shop.script(
        "BEGIN; CREATE TEMP TABLE renamed AS SELECT * FROM customers; DELETE FROM customers; \
         UPDATE renamed SET external_id = 'crm-2'; INSERT INTO customers SELECT * FROM renamed",
    )
    .await;
    let saving = tokio::spawn({
        let (store, put) = (shop.store.clone(), method(&shop, &ada, 1, true));
        async move { store.put_method(&put).await }
    });
    shop.wait_until_somebody_waits_for_a_lock().await;
    shop.script("COMMIT").await;
    let saved = saving.await.unwrap().unwrap();
    assert!(matches!(saved, MethodPut::Created(_)), "{saved:?}");
}

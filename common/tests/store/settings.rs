//! Settings: replaced whole, one tenant's and mode's alone; ages are counted on their day.

use super::fixture::Shop;
use boxoffice_common::{
    domain::{
        error::Code,
        id::CatalogueId,
        id::CustomerId,
        settings::{Color, CompanyId, CustomPaymentMethod, Origin, Settings},
        time::Timestamp,
        time_zone::TimeZone,
    },
    ports::store::*,
};

fn berlin() -> Settings {
    Settings {
        name: Some("Opéra <b>".to_owned()),
        color: Color::parse("#7a1f5c"),
        time_zone: TimeZone::parse("Europe/Berlin").unwrap(),
        support_email: Some("help@shop.example".to_owned()),
        embed_origins: vec![Origin::parse("https://shop.example").unwrap()],
        custom_payment_methods: vec![CustomPaymentMethod {
            id: CatalogueId::parse("1").unwrap(),
            name: "Cash".to_owned(),
            note_required: true,
        }],
        company_id: CompanyId::parse("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    }
}

over_both! {
    async fn settings_are_the_defaults_until_they_are_put_and_belong_to_one_tenant_and_mode(shop) {
        assert_eq!(shop.store.settings(&shop.scope).await.unwrap(), StoredSettings::default());
        let first = shop.store.put_settings(&shop.scope, &berlin()).await.unwrap();
        assert_eq!(first, StoredSettings { settings: berlin(), version: 1 });
        let other = Settings { name: None, ..berlin() };
        assert_eq!(shop.store.put_settings(&shop.scope, &other).await.unwrap().version, 2);
        assert_eq!(shop.store.settings(&shop.scope).await.unwrap(), StoredSettings { settings: other, version: 2 });
        assert_eq!(shop.store.settings(&shop.other_scope()).await.unwrap(), StoredSettings::default());
    }

    async fn an_age_is_that_of_the_day_on_which_the_session_starts_where_the_tenant_is(shop) {
        // 31 December 2098 in New York, 1 January 2099 in UTC.
        let gala = shop.session_with("gala", 10, |session| {
            session.starts_at = Timestamp::parse("2099-01-01T03:00:00Z").unwrap();
            session.min_age = Some(18);
        }).await;
        let id = CustomerId::parse("cus_eve").unwrap();
        let born = serde_json::from_value(serde_json::json!({"date_of_birth": "2081-01-01"})).unwrap();
        shop.store.put_customer(&shop.scope, &id, &born).await.unwrap().unwrap();
        let buy = async || {
            let mut new = shop.buy_cash(&gala, 1);
            new.order.customer = Some(id.clone());
            let checkout = shop.accept(new).await;
            shop.begin(&checkout).await;
            shop.checkout(&checkout).await.error.map(|error| error.code)
        };
        assert_eq!(buy().await, None, "in UTC it is the birthday");
        let new_york = Settings { time_zone: TimeZone::parse("America/New_York").unwrap(), ..Settings::default() };
        shop.store.put_settings(&shop.other_scope(), &new_york).await.unwrap();
        assert_eq!(buy().await, None, "another mode's settings are another's");
        shop.store.put_settings(&shop.scope, &new_york).await.unwrap();
        assert_eq!(buy().await, Some(Code::AgeRestricted), "in New York it is the day before");
        shop.assert_clean().await;
    }
}

//! What BokaMera's clients ask for, as a cart of ours.

use super::countries::country;
use crate::{bounds, problem::Problem};
use boxoffice_common::domain::{
    error::{Code, CodedError},
    hosted::UiMode,
    id::CatalogueId,
    pricing::{CartItem, CartLine, MAX_LINES, MAX_QUANTITY},
};
use serde::Deserialize;

/// A service: a session of ours.
const SERVICE: i64 = 1;
/// A type of rebate codes: a membership of ours.
const REBATE_CODE_TYPE: i64 = 2;
/// A product.
const PRODUCT: i64 = 3;

/// Articles to be paid for on a page.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraCheckoutRequest)]
pub(super) struct CheckoutRequest {
    /// Has to be the `company_id` of the settings, where there is one.
    #[schema(format = "uuid")]
    pub(super) company_id: String,
    /// ISO 3166-1 alpha-2, in any case; kept in the metadata.
    #[schema(min_length = 2, max_length = 2)]
    pub(super) country_code: String,
    #[schema(min_items = 1, max_items = 50)]
    articles: Vec<Article>,
    /// Kept as the checkout's `reference`. What is open under it is called off.
    #[schema(min_length = 1, max_length = 255)]
    pub(super) internal_reference_id: String,
    /// Where the browser goes when it is paid.
    pub(super) confirmation_url: Option<String>,
    /// Where the browser goes when it is not. Not with `embedded`.
    pub(super) cancel_url: Option<String>,
    /// `hosted` when left out, or `embedded`.
    ui_mode: Option<String>,
}

/// Something from the catalogue: of the kind that `ArticleTypeId` names that which has `ArticleId` for its id.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraArticle)]
struct Article {
    article_id: Option<i64>,
    /// 1 service (a session), which is meant when left out; 2 type of rebate codes (a membership); 3 product.
    article_type_id: Option<i64>,
    /// One when left out.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: Option<i64>,
}

/// How one stands.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BokameraStatusRequest)]
pub(super) struct StatusRequest {
    /// Has to be the `company_id` of the settings, where there is one.
    #[schema(format = "uuid")]
    pub(super) company_id: String,
    /// As it was answered.
    pub(super) session_id: String,
}

impl CheckoutRequest {
    /// The country, checked.
    pub(super) fn country(&self) -> Result<String, Problem> {
        let wrong = || Problem::invalid("CountryCode", "is the code of a country, two letters of ISO 3166-1");
        country(&self.country_code).ok_or_else(wrong)
    }

    pub(super) fn ui_mode(&self) -> Result<UiMode, Problem> {
        match self.ui_mode.as_deref().unwrap_or_default() {
            "" => Ok(UiMode::Hosted),
            hosted if hosted.eq_ignore_ascii_case("hosted") => Ok(UiMode::Hosted),
            embedded if embedded.eq_ignore_ascii_case("embedded") => Ok(UiMode::Embedded),
            _ => Err(Problem::invalid("UiMode", "is hosted or embedded")),
        }
    }

    /// Everything else that needs no look at the catalogue. What is empty was left out.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        bounds::text(&self.internal_reference_id, 255, "InternalReferenceId")?;
        for (url, field) in [(&mut self.confirmation_url, "ConfirmationUrl"), (&mut self.cancel_url, "CancelUrl")] {
            if url.as_deref() == Some("") {
                *url = None;
            }
            bounds::browser_url(url.as_ref(), field)?;
        }
        if self.cancel_url.is_some() && self.ui_mode()? == UiMode::Embedded {
            return Err(Problem::invalid("CancelUrl", "is not allowed if UiMode is embedded"));
        }
        Ok(())
    }

    pub(super) fn lines(&self) -> Result<Vec<CartLine>, Problem> {
        if !(1..=MAX_LINES).contains(&self.articles.len()) {
            return Err(Problem::invalid("Articles", format!("has 1 to {MAX_LINES} articles")));
        }
        self.articles.iter().enumerate().map(|(at, article)| article.line(at)).collect()
    }

    /// Whether somebody has to have what is sold: the page does not ask who.
    pub(super) fn sells_memberships(&self) -> bool {
        self.articles.iter().any(|article| article.article_type_id == Some(REBATE_CODE_TYPE))
    }
}

impl Article {
    fn line(&self, at: usize) -> Result<CartLine, Problem> {
        let field = |name: &str| format!("Articles[{at}].{name}");
        let id = self.article_id.ok_or_else(|| Problem::missing(field("ArticleId")))?;
        let missing = || CodedError::new(Code::ResourceMissing, "there is no such article").at(field("ArticleId"));
        let id = CatalogueId::parse(id.to_string()).map_err(|_| missing())?;
        let item = match self.article_type_id.unwrap_or(SERVICE) {
            SERVICE => CartItem::Session { session: id, seats: Vec::new(), offer: None, participants: Vec::new(), pricing_plan: None },
            REBATE_CODE_TYPE => CartItem::Membership { membership: id },
            PRODUCT => CartItem::Product { product: id, variant: None },
            _ => {
                let words = "1 is a service, 2 a type of rebate codes, 3 a product";
                return Err(CodedError::new(Code::ResourceMissing, words).at(field("ArticleTypeId")).into());
            }
        };
        let quantity = u32::try_from(self.quantity.unwrap_or(1)).ok().filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
        let quantity = quantity.ok_or_else(|| Problem::invalid(field("Quantity"), format!("is 1 to {MAX_QUANTITY}")))?;
        Ok(CartLine { item, quantity, unit_amount: None, total_amount: None })
    }
}

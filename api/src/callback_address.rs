//! Where callbacks may go, as far as an address can be judged before it is resolved.

use crate::problem::Problem;
use boxoffice_common::adapters::callback::public_url::PublicUrl;

/// Checks an address that callbacks are to go to. The connector checks again what it connects to.
pub fn check(text: &str, allow_private: bool, param: &'static str) -> Result<(), Problem> {
    PublicUrl::parse(text, allow_private).map(|_| ()).map_err(|refusal| Problem::invalid(param, refusal.to_string()))
}

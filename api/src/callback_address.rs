//! Where callbacks may go, as far as an address can be judged before it is resolved.

use crate::{bounds, problem::Problem};

/// Checks an address that callbacks are to go to. The connector checks again what it connects to.
pub fn check(text: &str, _allow_private: bool, param: &'static str) -> Result<(), Problem> {
    bounds::browser_url(Some(&text.to_owned()), param)
}

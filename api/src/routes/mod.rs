//! Native routes, a file for each resource.

pub mod checkouts;
pub mod health;
pub mod paging;
pub mod paths;

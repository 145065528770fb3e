//! The state machine of a checkout on trial, without a store: a worker's moves against a provider that keeps its own book.
//!
//! | file | owns |
//! |---|---|
//! | `machine` | a checkout, its workers, and whoever else moves it |
//! | `provider` | the provider with its book, and what it tells |
//! | `must_hold` | what must hold after every move, and at rest |
//! | `attacks` | moves that somebody suspected |
//! | `property` | moves at random |
//! | `events` | what the provider tells of its own accord |
//! | `balance` | payments of which a balance pays a part, at random |
//! | `hosted` | payments on our own page, a promise each |
//! | `hosted_property` | the same with moves at random |
//! | `asked_after_all` | a customer who is asked, and the answer that says so is lost |
//! | `last_look` | what is not known when its key is good no more |
//! | `late_money` | money that is nobody's and does not go back by itself |
//! | `routing` | several accounts, of which some say no for themselves |
//! | `take_back` | a customer who is asked, and wants to pay in another way |
//! | `shop` | a whole shop in memory, and what must hold in it after every sale and refund |
//! | `shop_property` | such shops at random |

mod asked_after_all;
mod attacks;
mod balance;
mod events;
mod hosted;
mod hosted_property;
mod last_look;
mod late_money;
mod machine;
mod must_hold;
mod property;
mod provider;
mod push;
mod routing;
mod shop;
mod shop_property;
mod take_back;

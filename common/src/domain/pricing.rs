//! Prices: what the lines of a checkout come to.

//! What the results say: tables, a plot, and whether the bounds were kept.

pub(crate) mod bounds;
pub(crate) mod multiples;
pub(crate) mod tables;
pub(crate) mod plot;

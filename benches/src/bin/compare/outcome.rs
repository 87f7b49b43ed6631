//! How a measurement ends.

use std::error::Error;

/// What goes wrong is told and ends the program: half a comparison is none.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

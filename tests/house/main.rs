//! What the tree promises about itself. `CONTRIBUTING.md` says it in words; these tests hold it.
//!
//! | Test | Promise |
//! |---|---|
//! | `layers` | no file imports from one above it, the pure rooms are pure, `unsafe` is in one place |
//! | `sizes` | files, functions and folders are small enough to be read at once |
//! | `names` | one name for each thing, the RFC's or the ecosystem's |
//! | `documents` | links lead somewhere, and what is said twice is said alike |

mod tree;
mod layers;
mod sizes;
mod names;
mod documents;

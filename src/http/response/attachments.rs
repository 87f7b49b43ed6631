//! Values of the application's own, one of each type, that go with a request from the time when it is
//! accepted.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// See the [module](self). Clones share the values.
#[derive(Clone, Default)]
pub(crate) struct Attachments(Vec<Arc<dyn Any + Send + Sync>>);

impl Attachments {
    /// Adds a value, in place of another of its type.
    pub(super) fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.0.retain(|other| !other.is::<T>());
        self.0.push(Arc::new(value));
    }

    /// The value of this type.
    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.iter().find_map(|value| value.downcast_ref())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The same values, not just equal ones: nothing is known of how to compare them.
impl PartialEq for Attachments {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Eq for Attachments {}

impl fmt::Debug for Attachments {
    /// Nothing is known of how to show them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

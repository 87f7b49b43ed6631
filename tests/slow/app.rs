//! Letter M at its size, which takes a while.

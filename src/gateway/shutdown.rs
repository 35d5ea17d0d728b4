//! The signal to stop, told to every task that must know.

/// Can be awaited by any number of tasks.
#[derive(Debug, Clone)]
pub struct Shutdown {}

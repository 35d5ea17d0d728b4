//! The signal to stop, told to every task that must know. It only tells: what stopping means is for each task to say.

use tokio::sync::watch;

/// Gives the signal. Dropping it gives the signal too: what nobody can stop any more must not run on.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Can be awaited by any number of tasks.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Trigger {
    /// Gives the signal. Further calls change nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// A signal that has not been given yet.
    #[must_use]
    pub fn new() -> (Trigger, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Shutdown(receiver))
    }

    /// Waits for the signal; returns at once when it was given already.
    pub async fn requested(&self) {
        let mut signal = self.0.clone();
        // The error says that the trigger is gone, which is the signal as well.
        drop(signal.wait_for(|given| *given).await);
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_waiter_hears_it_early_or_late() {
        let (trigger, shutdown) = Shutdown::new();
        assert!(!shutdown.is_requested());
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        trigger.request();
        waiting.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }

    #[tokio::test]
    async fn a_dropped_trigger_is_the_signal() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}

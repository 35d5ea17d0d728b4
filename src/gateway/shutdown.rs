//! The way to the end, told to every task that must know: first no more clients, then no more requests, then no more streams.
//! It only tells: what each phase means is for each task to say.

use tokio::sync::watch;

/// Moves on from phase to phase. Dropping it is as good as `request`: what nobody can stop any more must not run on.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Phase>);

/// Can be awaited by any number of tasks.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Phase>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Not ready any more; everybody is still answered, and told to come elsewhere next.
    Draining,
    /// Nobody is accepted; whoever is connected is still answered.
    Closed,
    /// Requests under way finish, new ones are refused; streams that answer no request end.
    Stopping,
    /// Every stream ends.
    Ending,
}

impl Trigger {
    /// Not ready any more.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Closes the listener.
    pub fn close(&self) {
        self.advance(Phase::Closed);
    }

    /// Gives the signal to stop. Further calls change nothing.
    pub fn request(&self) {
        self.advance(Phase::Stopping);
    }

    /// Ends streams, whatever they still owe.
    pub fn end(&self) {
        self.advance(Phase::Ending);
    }

    /// There is no way back.
    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let further = *phase < to;
            *phase = to.max(*phase);
            further
        });
    }
}

impl Shutdown {
    /// A signal that has not been given yet.
    #[must_use]
    pub fn new() -> (Trigger, Shutdown) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (Trigger(sender), Shutdown(receiver))
    }

    /// Waits until clients are to go elsewhere.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until nobody is to be accepted.
    pub async fn closed(&self) {
        self.reached(Phase::Closed).await;
    }

    /// Waits for the signal to stop; returns at once when it was given already.
    pub async fn requested(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Waits until every stream is to end. Not for ever, if nobody can say so any more: then by force.
    pub async fn ending(&self) {
        let mut phase = self.0.clone();
        if phase.wait_for(|phase| *phase >= Phase::Ending).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether clients are to go elsewhere: this process is not ready any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_at(Phase::Draining)
    }

    /// Whether the signal to stop was given.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.is_at(Phase::Stopping)
    }

    async fn reached(&self, phase: Phase) {
        let mut current = self.0.clone();
        // The error says that the trigger is gone, which is the signal as well.
        drop(current.wait_for(|current| *current >= phase).await);
    }

    fn is_at(&self, phase: Phase) -> bool {
        *self.0.borrow() >= phase || self.0.has_changed().is_err()
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
    async fn each_phase_holds_those_before_it_and_there_is_no_way_back() {
        let (trigger, shutdown) = Shutdown::new();
        trigger.drain();
        shutdown.draining().await;
        assert!(shutdown.is_draining() && !shutdown.is_requested());
        trigger.close();
        shutdown.closed().await;
        assert!(!shutdown.is_requested());
        trigger.request();
        trigger.drain();
        shutdown.closed().await;
        assert!(shutdown.is_requested());
        trigger.end();
        shutdown.ending().await;
    }

    #[tokio::test]
    async fn a_dropped_trigger_is_the_signal() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}

//! How many connections clients have: the listener clones its service for each, and drops the clone with it.

use prometheus::IntGauge;

use super::Metrics;

/// To be kept in the service. Each clone counts as one for as long as it is there.
pub(in crate::gateway) struct Open {
    gauge: IntGauge,
    counts: bool,
}

impl Open {
    /// What the clones are made of; it counts as none itself.
    pub(in crate::gateway) fn counting(metrics: &Metrics) -> Self {
        Self { gauge: metrics.connections.clone(), counts: false }
    }
}

impl Clone for Open {
    fn clone(&self) -> Self {
        self.gauge.inc();
        Self { gauge: self.gauge.clone(), counts: true }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.counts {
            self.gauge.dec();
        }
    }
}

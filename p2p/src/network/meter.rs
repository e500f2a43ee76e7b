//! Counts what leaks away with time: so many at once, so many a second for ever.

use std::time::Instant;

const ONE: u64 = 1_000_000;

/// A leaky bucket.
#[derive(Debug)]
pub(super) struct Meter {
    /// In millionths.
    level: u64,
    /// When the level was last brought up to date.
    at: Instant,
}

/// How much one holds and how fast it leaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) at_once: u64,
    pub(super) per_second: u64,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Meter { level: 0, at: now }
    }

    /// Counts one; `false` if that is one too many, and then it is not counted.
    pub(super) fn admits(&mut self, now: Instant, rate: Rate) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_micros();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let leaked = elapsed.saturating_mul(rate.per_second);
        self.at = now;
        self.level = self.level.saturating_sub(leaked);
        let more = self.level.saturating_add(ONE);
        let fits = more <= rate.at_once.saturating_mul(ONE);
        if fits {
            self.level = more;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn so_many_at_once_and_so_many_a_second() {
        let rate = Rate {
            at_once: 10,
            per_second: 4,
        };
        let mut now = Instant::now();
        let mut meter = Meter::new(now);
        let count = |meter: &mut Meter, now| (0..100).filter(|_| meter.admits(now, rate)).count();
        assert_eq!(count(&mut meter, now), 10);
        for _ in 0..10 {
            now += Duration::from_millis(100);
            meter.admits(now, rate);
        }
        now += Duration::from_secs(1);
        assert_eq!(count(&mut meter, now), 4);
        now += Duration::from_secs(3600);
        assert_eq!(count(&mut meter, now), 10);
    }
}

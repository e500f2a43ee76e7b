//! Times of repeated runs: median and 95th percentile.

/// Times in one unit, in the order measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which this fraction lies, interpolated between neighbours; 0 if there are none.
    pub(super) fn quantile(&self, fraction: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = fraction * sorted.len().saturating_sub(1) as f64;
        let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(0.0);
        let (low, high) = (at(place.floor()), at(place.ceil()));
        low + (high - low) * place.fract()
    }

    pub(super) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(super) fn p95(&self) -> f64 {
        self.quantile(0.95)
    }

    /// How far the middle four fifths lie apart, as a fraction of the median.
    pub(super) fn spread(&self) -> f64 {
        let median = self.median();
        if median > 0.0 {
            (self.quantile(0.9) - self.quantile(0.1)) / median
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn quantiles_interpolate_and_do_not_depend_on_order() {
        let samples = Samples(vec![30.0, 10.0, 20.0, 40.0]);
        assert_eq!(samples.median(), 25.0);
        assert_eq!(samples.quantile(0.0), 10.0);
        assert_eq!(samples.quantile(1.0), 40.0);
        assert!((samples.p95() - 38.5).abs() < 1e-9);
        assert!((samples.spread() - 24.0 / 25.0).abs() < 1e-9);
        assert_eq!(Samples(vec![7.0]).p95(), 7.0);
        assert_eq!(Samples::default().median(), 0.0);
        assert_eq!(Samples::default().spread(), 0.0);
    }
}

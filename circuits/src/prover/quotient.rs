//! The quotient (a · b − c) / Z, whose coefficients are the scalars of a key's h points.
//!
//! a, b and c are the polynomials that take a row's values at the row's point of a domain of n points, where Z = Xⁿ − 1 is zero; and c = a · b there. Write
//! a · b = low + Xⁿ · high, which is high · Z + (low + high): so high is the quotient. At the points of the domain Xⁿ is 1, and a · b is low + high; at those
//! of its coset by a root of −1 it is low − high. Half the difference is the quotient, in six transforms.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, FftField, Field};
use zeroize::Zeroizing;

/// Powers of the roots of a domain.
pub(super) struct Domain {
    size: usize,
    /// Of the domain's root and of its inverse: so many as half the domain has.
    roots: [Vec<Fr>; 2],
    /// Of the coset's shift, each divided by n, and of its inverse, divided by 2n: in the order in which coefficients are.
    shifts: [Vec<Fr>; 2],
    /// 1 / 2n.
    half: Fr,
}

/// Values that are wiped.
type Secret = Zeroizing<Vec<Fr>>;

impl Domain {
    /// The domain for so many rows, unless the field has none so large.
    pub(super) fn new(rows: usize) -> Option<Domain> {
        let size = rows.checked_next_power_of_two()?.max(2);
        let double = size.checked_mul(2)?;
        let shift = Fr::get_root_of_unity(double as u64)?;
        let half = Fr::from(double as u64).inverse()?;
        let (root, back) = (shift.square(), shift.inverse()?);
        let powers = |first: Fr, ratio: Fr, count: usize| -> Vec<Fr> {
            let next = |power: &Fr| Some(*power * ratio);
            std::iter::successors(Some(first), next)
                .take(count)
                .collect()
        };
        let reversed = |mut powers: Vec<Fr>| {
            reverse(&mut powers);
            powers
        };
        Some(Domain {
            size,
            roots: [
                powers(Fr::ONE, root, size / 2),
                powers(Fr::ONE, back.square(), size / 2),
            ],
            shifts: [
                reversed(powers(half.double(), shift, size)),
                reversed(powers(half, back, size)),
            ],
            half,
        })
    }

    /// The coefficients of the quotient, lowest first, from a's and b's values in the first rows. They are wiped.
    pub(super) fn quotient(&self, a: &[Fr], b: &[Fr]) -> Secret {
        let ((a_shifted, b_shifted), sum) = rayon::join(
            || rayon::join(|| self.shifted(a), || self.shifted(b)),
            || {
                let mut product = self.padded(a);
                multiply(&mut product, b);
                self.coefficients(&mut product);
                product
            },
        );
        let mut quotient = a_shifted;
        multiply(&mut quotient, &b_shifted);
        self.coefficients(&mut quotient);
        let terms = quotient.iter_mut().zip(sum.iter()).zip(&self.shifts[1]);
        for ((difference, sum), shift) in terms {
            *difference = *sum * self.half - *difference * shift;
        }
        reverse(&mut quotient);
        quotient
    }

    fn padded(&self, values: &[Fr]) -> Secret {
        let mut out = Vec::with_capacity(self.size);
        out.extend_from_slice(values);
        out.resize(self.size, Fr::ZERO);
        Zeroizing::new(out)
    }

    /// From values on the domain to values on its coset.
    fn shifted(&self, values: &[Fr]) -> Secret {
        let mut values = self.padded(values);
        self.coefficients(&mut values);
        for (coefficient, shift) in values.iter_mut().zip(&self.shifts[0]) {
            *coefficient *= shift;
        }
        self.values(&mut values);
        values
    }

    /// From values to n times the coefficients, which are in the order of their reversed bits.
    fn coefficients(&self, values: &mut [Fr]) {
        let mut half = self.size / 2;
        let mut step = 1;
        while half > 1 {
            for block in values.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                let roots = self.roots[1].iter().step_by(step);
                for ((x, y), root) in low.iter_mut().zip(high).zip(roots) {
                    let difference = *x - *y;
                    *x += *y;
                    *y = difference * root;
                }
            }
            half /= 2;
            step *= 2;
        }
        neighbours(values);
    }

    /// From coefficients in the order of their reversed bits to values.
    fn values(&self, coefficients: &mut [Fr]) {
        neighbours(coefficients);
        let mut half = 2;
        let mut step = self.size / 4;
        while half < self.size {
            for block in coefficients.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                let roots = self.roots[0].iter().step_by(step);
                for ((x, y), root) in low.iter_mut().zip(high).zip(roots) {
                    let product = *y * root;
                    *y = *x - product;
                    *x += product;
                }
            }
            half *= 2;
            step /= 2;
        }
    }
}

/// The step of either transform whose only root is 1.
fn neighbours(values: &mut [Fr]) {
    for pair in values.chunks_exact_mut(2) {
        if let [x, y] = pair {
            let difference = *x - *y;
            *x += *y;
            *y = difference;
        }
    }
}

/// Multiplies point by point; what has no partner becomes zero.
fn multiply(values: &mut [Fr], others: &[Fr]) {
    let (common, rest) = values.split_at_mut(others.len().min(values.len()));
    for (value, other) in common.iter_mut().zip(others) {
        *value *= other;
    }
    rest.fill(Fr::ZERO);
}

/// Reverses the bits of places.
fn reverse(values: &mut [Fr]) {
    let unused = usize::BITS - values.len().trailing_zeros();
    for i in 0..values.len() {
        let reversed = i.reverse_bits() >> unused;
        if i < reversed {
            values.swap(i, reversed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::UniformRand;
    use ark_poly::{
        DenseUVPolynomial, EvaluationDomain, Radix2EvaluationDomain, univariate::DensePolynomial,
    };

    #[test]
    fn the_quotient_times_the_vanishing_polynomial_is_what_the_product_has_beyond_its_values() {
        let mut rng = crate::keys::rng(b"quotient", &[]);
        for rows in [1, 2, 3, 8, 13, 64, 100] {
            let domain = Domain::new(rows).unwrap();
            let [a, b] =
                [(); 2].map(|()| -> Vec<Fr> { (0..rows).map(|_| Fr::rand(&mut rng)).collect() });
            let known = Radix2EvaluationDomain::<Fr>::new(domain.size).unwrap();
            let polynomial =
                |values: Vec<Fr>| DensePolynomial::from_coefficients_vec(known.ifft(&values));
            let products = a.iter().zip(&b).map(|(a, b)| *a * b).collect();
            let quotient = domain.quotient(&a, &b).to_vec();
            let left = &polynomial(a) * &polynomial(b);
            let multiple =
                DensePolynomial::from_coefficients_vec(quotient).mul_by_vanishing_poly(known);
            assert_eq!(left, &multiple + &polynomial(products), "{rows} rows");
        }
    }
}

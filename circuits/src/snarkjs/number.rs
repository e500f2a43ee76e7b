//! Field elements as decimal strings. One element has one string, and only strings below the modulus become elements.

use super::SnarkjsError;
use crate::field::from_fr;
use ark_bn254::{Fq, Fq2, Fr};
use ark_ff::{BigInt, PrimeField};
use serde::{Deserialize, Serialize};
use tender_wire::FieldBytes;

/// Most digits of a number: those of 2^256.
pub const MAX_DIGITS: usize = 78;

/// A number in decimal: digits alone, no leading zero, at most [`MAX_DIGITS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(String);

/// A text that is no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number is 1 to {MAX_DIGITS} decimal digits in a string, without leading zeros")]
pub struct NotADecimal;

impl TryFrom<String> for Decimal {
    type Error = NotADecimal;
    fn try_from(text: String) -> Result<Self, NotADecimal> {
        let digits = (1..=MAX_DIGITS).contains(&text.len());
        let digits = digits && text.bytes().all(|b| b.is_ascii_digit());
        let leads = text.len() > 1 && text.starts_with('0');
        if digits && !leads {
            Ok(Decimal(text))
        } else {
            Err(NotADecimal)
        }
    }
}

impl From<Decimal> for String {
    fn from(decimal: Decimal) -> String {
        decimal.0
    }
}

impl Decimal {
    pub(super) fn small(value: u8) -> Self {
        Decimal(value.to_string())
    }

    /// The number as four 64-bit limbs, lowest first; `None` from 2^256 on.
    fn limbs(&self) -> Option<[u64; 4]> {
        let mut limbs = [0u64; 4];
        for digit in self.0.bytes() {
            let mut carry = u128::from(digit.checked_sub(b'0')?);
            for limb in &mut limbs {
                let next = u128::from(*limb).checked_mul(10)?.checked_add(carry)?;
                *limb = next as u64; // the low half; the high one is carried
                carry = next.wrapping_shr(64);
            }
            if carry != 0 {
                return None;
            }
        }
        Some(limbs)
    }

    /// The element; `None` if the number is not below the modulus.
    pub(super) fn element<F: PrimeField<BigInt = BigInt<4>>>(&self) -> Option<F> {
        F::from_bigint(BigInt(self.limbs()?))
    }
}

/// An element's digits.
pub(super) fn decimal<F: PrimeField>(value: &F) -> Decimal {
    Decimal(value.into_bigint().to_string())
}

/// An element of the quadratic extension.
pub(super) fn element(value: &Fq2) -> [Decimal; 2] {
    [decimal(&value.c0), decimal(&value.c1)]
}

/// A scalar's bytes.
pub(super) fn scalar(number: &Decimal, what: &'static str) -> Result<FieldBytes, SnarkjsError> {
    let value = number.element::<Fr>();
    Ok(from_fr(&value.ok_or(SnarkjsError::NotCanonical(what))?))
}

/// A coordinate.
pub(super) fn coordinate(number: &Decimal, what: &'static str) -> Result<Fq, SnarkjsError> {
    number.element().ok_or(SnarkjsError::NotCanonical(what))
}

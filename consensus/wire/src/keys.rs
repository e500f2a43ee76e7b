//! ed25519 keys and signatures. One predicate everywhere: `verify_strict`, never the batch verifier, because the two
//! disagree on adversarial points and a disagreement between peers is a fork (THREATS T28).
//!
//! What is signed is always `hash(tag, [chain, message])`: 32 bytes, bound to its kind and its chain.

use crate::{byte_newtype, domain::Tag, hash::hash, ids::ChainId};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroize;

byte_newtype! {
    /// An ed25519 public key as it travels; checked when it is used.
    PublicKey, 32
}
byte_newtype! {
    /// An ed25519 signature as it travels.
    Signature, 64
}

/// Why a signature or key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key is not the canonical encoding of a point, or has small order.
    #[error("the public key is malformed or weak")]
    BadKey,
    /// The signature does not verify strictly.
    #[error("the signature does not verify")]
    BadSignature,
}

impl PublicKey {
    /// Refuses keys that are not the canonical encoding of a curve point, or have small order. To be called at registration.
    ///
    /// # Errors
    /// [`SignatureError::BadKey`].
    pub fn check(&self) -> Result<(), SignatureError> {
        self.parse_point().map(|_| ())
    }

    /// Checks `signature` over `hash(tag, [chain, message])`.
    ///
    /// # Errors
    /// [`SignatureError`] if the key is weak or the signature does not verify strictly.
    pub fn verify(
        &self,
        tag: Tag,
        chain: &ChainId,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let digest = hash(tag, &[chain.as_ref(), message]);
        self.parse_point()?
            .verify_strict(
                digest.as_ref(),
                &ed25519_dalek::Signature::from_bytes(&signature.0),
            )
            .map_err(|_| SignatureError::BadSignature)
    }

    /// The same key as an X25519 public key, to encrypt to whoever signs with it. Using one key pair for both is
    /// analysed in <https://eprint.iacr.org/2021/509> (for the key encapsulation of RFC 9180).
    ///
    /// # Errors
    /// [`SignatureError::BadKey`] if it is no curve point or has small order.
    pub fn agreement_key(&self) -> Result<[u8; 32], SignatureError> {
        Ok(self.parse_point()?.to_montgomery().to_bytes())
    }

    fn parse_point(&self) -> Result<VerifyingKey, SignatureError> {
        match VerifyingKey::from_bytes(&self.0) {
            Ok(key) if !key.is_weak() && self.is_reduced() => Ok(key),
            _ => Err(SignatureError::BadKey),
        }
    }

    /// Whether `y` is below 2^255 - 19. dalek takes the 19 encodings above it as well (ZIP 215), RFC 8032 does not: one point, one key.
    /// (A zero `x` with a sign has another encoding too; both such points have small order.)
    fn is_reduced(&self) -> bool {
        let [low, middle @ .., high] = &self.0;
        *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
    }
}

/// An ed25519 secret key. No `Debug`, `Clone` or `Serialize`; wiped when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of a 32-byte seed. The caller's copy of the seed is wiped.
    pub fn from_seed(seed: &mut [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        seed.zeroize();
        SecretKey(key)
    }

    /// The seed, for writing to a key file; wiped when dropped.
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The secret of [`PublicKey::agreement_key`], wiped when dropped.
    pub fn agreement_secret(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_scalar_bytes())
    }

    /// Signs `hash(tag, [chain, message])`.
    pub fn sign(&self, tag: Tag, chain: &ChainId, message: &[u8]) -> Signature {
        let digest = hash(tag, &[chain.as_ref(), message]);
        Signature(self.0.sign(digest.as_ref()).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Order of the base point, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    /// T28: lenient verifiers take these keys with the signature (identity, 0) for any message; as R in a signature of a sound key, too.
    #[test]
    fn t28_a_key_or_nonce_of_small_order_signs_nothing() {
        let [mut one, zero, mut minus_one] = [[0; 32], [0; 32], [0xff; 32]];
        one[0] = 1;
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        let eighth = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        let eighth: PublicKey = eighth.parse().unwrap();
        let chain = ChainId([1; 32]);
        let sound = SecretKey::from_seed(&mut [7; 32]).public();
        for point in [one, zero, minus_one, eighth.0] {
            assert!(VerifyingKey::from_bytes(&point).is_ok_and(|key| key.is_weak()));
            let mut signature = Signature([0; 64]);
            let (r, _) = signature.0.split_at_mut(32);
            r.copy_from_slice(&point);
            let weak = PublicKey(point);
            assert_eq!(weak.check(), Err(SignatureError::BadKey));
            for key in [weak, sound] {
                assert!(
                    key.verify(Tag::SignBid, &chain, b"any", &signature)
                        .is_err()
                );
            }
        }
    }

    /// T28: s and s + the order mean the same scalar; one of them is a signature.
    #[test]
    fn t28_a_signature_has_one_encoding() {
        let key = SecretKey::from_seed(&mut [7; 32]);
        let chain = ChainId([1; 32]);
        let mut signature = key.sign(Tag::SignBid, &chain, b"a bid");
        let verdict = |signature: &Signature| {
            key.public()
                .verify(Tag::SignBid, &chain, b"a bid", signature)
        };
        assert_eq!(verdict(&signature), Ok(()));
        let (_, s) = signature.0.split_at_mut(32);
        let mut carry = 0u16;
        for (byte, order) in s.iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert_eq!(verdict(&signature), Err(SignatureError::BadSignature));
    }

    /// `y` and `p + y` decode to the same point; the second is no key. Strong points, so that only this rule tells them apart.
    #[test]
    fn a_key_has_one_encoding() {
        let mut strong = 0;
        for y in 0..19u8 {
            let mut low = [0u8; 32];
            low[0] = y;
            let mut high = [0xff; 32];
            (high[0], high[31]) = (0xed + y, 0x7f);
            if PublicKey(low).check().is_ok() {
                strong += 1;
                assert!(VerifyingKey::from_bytes(&high).is_ok());
            }
            assert_eq!(PublicKey(high).check(), Err(SignatureError::BadKey), "{y}");
            high[31] = 0xff;
            assert_eq!(PublicKey(high).check(), Err(SignatureError::BadKey), "-{y}");
        }
        assert!(strong > 5);
        let mut below = [0xff; 32];
        (below[0], below[31]) = (0xec - 2, 0x7f);
        assert!(PublicKey(below).is_reduced());
    }
}

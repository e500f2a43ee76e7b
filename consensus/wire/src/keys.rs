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
    /// The key is not a point, or has small order.
    #[error("the public key is malformed or weak")]
    BadKey,
    /// The signature does not verify strictly.
    #[error("the signature does not verify")]
    BadSignature,
}

impl PublicKey {
    /// Refuses keys that are not a curve point or have small order. To be called at registration.
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

    fn parse_point(&self) -> Result<VerifyingKey, SignatureError> {
        match VerifyingKey::from_bytes(&self.0) {
            Ok(key) if !key.is_weak() => Ok(key),
            _ => Err(SignatureError::BadKey),
        }
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

    /// Signs `hash(tag, [chain, message])`.
    pub fn sign(&self, tag: Tag, chain: &ChainId, message: &[u8]) -> Signature {
        let digest = hash(tag, &[chain.as_ref(), message]);
        Signature(self.0.sign(digest.as_ref()).to_bytes())
    }
}

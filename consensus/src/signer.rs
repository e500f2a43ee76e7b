//! The seam at which signatures are made.

use tender_wire::{ChainId, PublicKey, SecretKey, Signature, Tag};

/// Holds a validator's consensus key: in memory, in a file, behind a device.
pub trait Signer: Send {
    /// The key others know.
    fn public(&self) -> PublicKey;
    /// Signs `hash(tag, [chain, message])`.
    ///
    /// # Errors
    /// [`SignerRefused`] if the holder will not or cannot sign; the engine then halts.
    fn sign(
        &mut self,
        tag: Tag,
        chain: &ChainId,
        message: &[u8],
    ) -> Result<Signature, SignerRefused>;
}

/// The signer's reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signer refused: {0}")]
pub struct SignerRefused(pub String);

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        SecretKey::public(self)
    }

    fn sign(
        &mut self,
        tag: Tag,
        chain: &ChainId,
        message: &[u8],
    ) -> Result<Signature, SignerRefused> {
        Ok(SecretKey::sign(self, tag, chain, message))
    }
}

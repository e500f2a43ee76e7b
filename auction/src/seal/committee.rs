//! The committee's one-time secrets and keys, the proof that a key is its member's own, and the reveal.

use super::{SealError, parse_point, parse_scalar, scalar};
use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use hkdf::Hkdf;
use sha2::Sha256;
use tender_wire::{AuctionId, BlockId, ChainId, PublicKey, Tag, byte_newtype};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A member's long-lived secret, from which every auction's `e_i` follows. No `Debug`, `Clone` or `Serialize`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealSeed([u8; 32]);

impl SealSeed {
    /// The seed read from a key file. The caller's copy is wiped.
    pub fn from_bytes(seed: &mut [u8; 32]) -> Self {
        let own = SealSeed(*seed);
        seed.zeroize();
        own
    }

    /// The seed, for writing to a key file; wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }
}

/// A member's secret `e_i` for one auction. No `Debug`, `Clone` or `Serialize`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct CommitteeSecret(Scalar);

byte_newtype! {
    /// A member's key `E_i` for one auction, as it travels; [`check_key`] admits it.
    CommitteeKey, 32
}
byte_newtype! {
    /// Schnorr proof of knowledge of a committee key's secret, bound to chain, auction and member.
    KeyProof, 64
}
byte_newtype! {
    /// A member's secret `e_i`, made public after the close.
    Reveal, 32
}

impl CommitteeSecret {
    /// The secret for the auction opened in block `opening_block`: the same after a restart, another on a fork.
    pub fn derive(
        seed: &SealSeed,
        chain: &ChainId,
        auction: &AuctionId,
        opening_block: &BlockId,
    ) -> Self {
        let info = [chain.0, auction.0, opening_block.0].concat();
        let mut wide = Zeroizing::new([0; 64]);
        let expanded =
            Hkdf::<Sha256>::new(Some(&Tag::SealKey.bytes()), &seed.0).expand(&info, &mut *wide);
        // Only lengths above 255 hashes fail; a failure would leave a zero secret, whose key `check_key` refuses.
        debug_assert!(expanded.is_ok());
        CommitteeSecret(Scalar::from_bytes_mod_order_wide(&wide))
    }

    /// The key to post, with the proof that `member` knows its secret. Deterministic.
    pub fn announce(
        &self,
        chain: &ChainId,
        auction: &AuctionId,
        member: &PublicKey,
    ) -> (CommitteeKey, KeyProof) {
        let key = CommitteeKey(RistrettoPoint::mul_base(&self.0).compress().to_bytes());
        // The nonce is secret and differs wherever the challenge does, so no two proofs share one.
        let secret = Zeroizing::new(self.0.to_bytes());
        let nonce = Zeroizing::new(scalar(
            Tag::SealPokNonce,
            &[
                secret.as_ref(),
                chain.as_ref(),
                auction.as_ref(),
                member.as_ref(),
            ],
        ));
        let commitment = RistrettoPoint::mul_base(&nonce).compress().to_bytes();
        let challenge = challenge(chain, auction, member, &key, &commitment);
        let response = *nonce + challenge * self.0;
        let mut proof = [0; 64];
        let (r, z) = proof.split_at_mut(32);
        r.copy_from_slice(&commitment);
        z.copy_from_slice(&response.to_bytes());
        (key, KeyProof(proof))
    }

    /// The secret itself. To be posted only once the closing block is durably committed.
    pub fn reveal(&self) -> Reveal {
        Reveal(self.0.to_bytes())
    }
}

fn challenge(
    chain: &ChainId,
    auction: &AuctionId,
    member: &PublicKey,
    key: &CommitteeKey,
    commitment: &[u8; 32],
) -> Scalar {
    scalar(
        Tag::SealPok,
        &[
            chain.as_ref(),
            auction.as_ref(),
            member.as_ref(),
            key.as_ref(),
            commitment,
        ],
    )
}

/// Whether `member` knows the secret of `key`. A key copied from another member fails (THREATS T21).
///
/// # Errors
/// [`SealError::BadKey`] or [`SealError::BadProof`].
pub fn check_key(
    chain: &ChainId,
    auction: &AuctionId,
    member: &PublicKey,
    key: &CommitteeKey,
    proof: &KeyProof,
) -> Result<(), SealError> {
    let point = parse_point(key.as_bytes()).ok_or(SealError::BadKey)?;
    let [commitment, response] = halves(&proof.0);
    let response = parse_scalar(&response).ok_or(SealError::BadProof)?;
    let challenge = challenge(chain, auction, member, key, &commitment);
    // Comparing encodings refuses a non-canonical commitment as well.
    let expected =
        RistrettoPoint::vartime_double_scalar_mul_basepoint(&-challenge, &point, &response);
    if expected.compress().to_bytes() == commitment {
        Ok(())
    } else {
        Err(SealError::BadProof)
    }
}

/// Whether `reveal` is the secret of `key`: one multiplication, no signature needed (THREATS T19).
///
/// # Errors
/// [`SealError::BadReveal`].
pub fn check_reveal(key: &CommitteeKey, reveal: &Reveal) -> Result<(), SealError> {
    parse_reveal(key, reveal).map(|_| ())
}

/// The scalar of a reveal that belongs to `key`.
pub(super) fn parse_reveal(key: &CommitteeKey, reveal: &Reveal) -> Result<Scalar, SealError> {
    let secret = parse_scalar(reveal.as_bytes()).ok_or(SealError::BadReveal)?;
    let point = RistrettoPoint::mul_base(&secret).compress().to_bytes();
    if point == key.0 && secret != Scalar::ZERO {
        Ok(secret)
    } else {
        Err(SealError::BadReveal)
    }
}

fn halves(bytes: &[u8; 64]) -> [[u8; 32]; 2] {
    let mut out = [[0; 32]; 2];
    for (half, from) in out.iter_mut().zip(bytes.chunks_exact(32)) {
        half.copy_from_slice(from);
    }
    out
}

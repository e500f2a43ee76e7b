//! Sealing a bid to a committee, and opening it with `t` reveals. Formulas and bytes in the parent's documentation.

use super::{
    CommitteeKey, MAX_BODY_BYTES, MAX_COMMITTEE, OpenError, Reveal, SealError,
    committee::parse_reveal, parse_point, parse_scalar, scalar,
};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tender_wire::{AuctionId, ChainId, Digest, FieldBytes, PublicKey, Tag, Wire, encode, hash};
use zeroize::{Zeroize, Zeroizing};

const TAG_BYTES: usize = 16;

/// What a sealed bid belongs to: under anything else it does not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Associated {
    /// The chain.
    pub chain: ChainId,
    /// The auction.
    pub auction: AuctionId,
    /// The bid's signer.
    pub bidder: PublicKey,
    /// The bid's asset handle.
    pub asset: FieldBytes,
    /// The bid's sequence number.
    pub sequence: u32,
}

/// A sealed bid body. Any bytes of the right shape decode; only opening tells whether they are honest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// `U = r·G`.
    pub u: [u8; 32],
    /// Masked share of each committee member, by rank.
    pub shares: Vec<[u8; 32]>,
    /// The seed, masked under the shared secret.
    pub seed: [u8; 32],
    /// The encrypted body and its tag.
    pub body: Vec<u8>,
}

impl Wire for Sealed {
    const NAME: &'static str = "sealed bid";
    // U, masked seed, two lengths; a share per member; the body.
    const MAX_BYTES: usize = 32 + 32 + 16 + 32 * MAX_COMMITTEE + MAX_BODY_BYTES;
}

impl Sealed {
    /// Whether it has the shape of a bid sealed to `keys` members with a plaintext of `plain` bytes. Says nothing about its content.
    pub fn fits(&self, keys: usize, plain: usize) -> bool {
        self.shares.len() == keys && self.body.len() == plain.saturating_add(TAG_BYTES)
    }
}

/// Seals `plain` to `keys`, so that any `threshold` of their secrets open it.
///
/// `seed` must be random and used for this bid alone.
///
/// # Errors
/// [`SealError`] if the committee is malformed or the plaintext too long.
pub fn seal(
    keys: &[CommitteeKey],
    threshold: usize,
    associated: &Associated,
    plain: &[u8],
    seed: [u8; 32],
) -> Result<Sealed, SealError> {
    let seed = Zeroizing::new(seed);
    let max = MAX_BODY_BYTES.saturating_sub(TAG_BYTES);
    let too_long = SealError::TooLong {
        found: plain.len(),
        max,
    };
    if plain.len() > max {
        return Err(too_long);
    }
    let committee = Committee::new(keys, threshold)?;
    let context = committee.context(associated);
    let Encapsulated {
        u,
        shares,
        seed: masked,
    } = committee.encapsulate(&context, &seed, |_, _| None);
    let payload = Payload {
        msg: plain,
        aad: context.as_ref(),
    };
    let body = body_cipher(&context, &seed)
        .encrypt(&Default::default(), payload)
        .map_err(|_| too_long)?; // the cipher's only error
    Ok(Sealed {
        u,
        shares,
        seed: masked,
        body,
    })
}

/// Opens one bid. For many bids of one auction build an [`Opener`] once.
///
/// # Errors
/// [`OpenError`]; [`OpenError::Invalid`] whenever the fault is the bid's.
pub fn open(
    keys: &[CommitteeKey],
    threshold: usize,
    associated: &Associated,
    sealed: &Sealed,
    reveals: &BTreeMap<u8, Reveal>,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    Opener::new(keys, threshold, reveals)?.open(associated, sealed)
}

/// A committee with `t` checked reveals: opens every bid of its auction.
pub struct Opener {
    committee: Committee,
    reveals: Vec<CheckedReveal>,
}

struct CheckedReveal {
    rank: u8,
    secret: Scalar,
    /// Lagrange coefficient of this share at zero.
    coefficient: Scalar,
}

impl Opener {
    /// Checks the committee and its reveals (by rank in `keys`, from 1). With more than `threshold`, the lowest ranks are used; which
    /// ones makes no difference.
    ///
    /// # Errors
    /// [`OpenError`], never [`OpenError::Invalid`].
    pub fn new(
        keys: &[CommitteeKey],
        threshold: usize,
        reveals: &BTreeMap<u8, Reveal>,
    ) -> Result<Self, OpenError> {
        let committee = Committee::new(keys, threshold)?;
        if reveals.len() < threshold {
            return Err(OpenError::TooFew {
                found: reveals.len(),
                threshold,
            });
        }
        let mut checked = Vec::with_capacity(threshold);
        for (&rank, reveal) in reveals {
            let secret = usize::from(rank)
                .checked_sub(1)
                .and_then(|index| keys.get(index))
                .and_then(|key| parse_reveal(key, reveal).ok())
                .ok_or(OpenError::BadReveal { rank })?;
            checked.push((rank, secret));
        }
        checked.truncate(threshold);
        let ranks: Vec<u8> = checked.iter().map(|(rank, _)| *rank).collect();
        let reveals = checked
            .into_iter()
            .map(|(rank, secret)| CheckedReveal {
                rank,
                secret,
                coefficient: lagrange_at_zero(rank, &ranks),
            })
            .collect();
        Ok(Opener { committee, reveals })
    }

    /// The plaintext of a bid, wiped when dropped.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] if it is not an honest sealing under `associated`.
    pub fn open(
        &self,
        associated: &Associated,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let context = self.committee.context(associated);
        let Recovered { seed, shared } =
            self.recover(&context, sealed).ok_or(OpenError::Invalid)?;
        // Where U is the one that was sealed, r·E_i is e_i·U, and that is at hand for the members that revealed.
        let known = |u: &[u8; 32], rank| {
            (*u == sealed.u)
                .then(|| shared.get(&rank))
                .flatten()
                .copied()
        };
        let again = self.committee.encapsulate(&context, &seed, known);
        if again.u != sealed.u || again.shares != sealed.shares || again.seed != sealed.seed {
            return Err(OpenError::Invalid);
        }
        // The cipher is deterministic and authenticated: what decrypts is what the seed encrypts to.
        let payload = Payload {
            msg: &sealed.body,
            aad: context.as_ref(),
        };
        body_cipher(&context, &seed)
            .decrypt(&Default::default(), payload)
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Invalid)
    }

    /// The seed these reveals lead to, if any; not yet known to be the one that was sealed.
    fn recover(&self, context: &Digest, sealed: &Sealed) -> Option<Recovered> {
        let u = parse_point(&sealed.u)?;
        let mut secret = Scalar::ZERO;
        let mut known = BTreeMap::new();
        for reveal in &self.reveals {
            let rank = u32::from(reveal.rank);
            let share = sealed
                .shares
                .get(usize::from(reveal.rank).checked_sub(1)?)?;
            let shared = (u * reveal.secret).compress().to_bytes();
            let mask = share_mask(context, rank, &sealed.u, &shared);
            secret += reveal.coefficient * parse_scalar(&xor(share, &mask))?;
            known.insert(rank, shared);
        }
        let seed = Zeroizing::new(xor(&sealed.seed, &seed_mask(context, &secret)));
        Some(Recovered {
            seed,
            shared: known,
        })
    }
}

/// What reveals give of a sealed bid, before it is known to be honest.
struct Recovered {
    seed: Zeroizing<[u8; 32]>,
    /// `e_i·U` of the members that revealed, by rank. No secret: whoever reads the chain can compute it.
    shared: BTreeMap<u32, [u8; 32]>,
}

/// A well-formed list of keys with a threshold.
struct Committee {
    points: Vec<RistrettoPoint>,
    threshold: usize,
    /// `t u32 LE`, and the keys' bytes in order, for the context.
    threshold_bytes: [u8; 4],
    key_bytes: Vec<u8>,
}

/// What a seed determines besides the body.
struct Encapsulated {
    u: [u8; 32],
    shares: Vec<[u8; 32]>,
    seed: [u8; 32],
}

impl Committee {
    fn new(keys: &[CommitteeKey], threshold: usize) -> Result<Self, SealError> {
        if keys.len() > MAX_COMMITTEE || threshold == 0 || threshold > keys.len() {
            return Err(SealError::BadCommittee {
                keys: keys.len(),
                threshold,
            });
        }
        let points = keys
            .iter()
            .map(|key| parse_point(key.as_bytes()).ok_or(SealError::BadKey))
            .collect::<Result<_, _>>()?;
        Ok(Committee {
            points,
            threshold,
            threshold_bytes: u32::try_from(threshold).unwrap_or(u32::MAX).to_le_bytes(), // at most 100
            key_bytes: keys.iter().flat_map(|key| key.0).collect(),
        })
    }

    /// `ctx`: the bid, the threshold and the keys.
    fn context(&self, associated: &Associated) -> Digest {
        hash(
            Tag::SealContext,
            &[&encode(associated), &self.threshold_bytes, &self.key_bytes],
        )
    }

    /// `known` may give `r·E_i`, by `U` and rank, and saves a multiplication with it.
    fn encapsulate(
        &self,
        context: &Digest,
        seed: &[u8; 32],
        known: impl Fn(&[u8; 32], u32) -> Option<[u8; 32]>,
    ) -> Encapsulated {
        let polynomial: Zeroizing<Vec<Scalar>> = Zeroizing::new(
            (0u32..)
                .take(self.threshold)
                .map(|k| scalar(Tag::SealPoly, &[context.as_ref(), seed, &k.to_le_bytes()]))
                .collect(),
        );
        let ephemeral = Zeroizing::new(scalar(Tag::SealEphemeral, &[context.as_ref(), seed]));
        let u = RistrettoPoint::mul_base(&ephemeral).compress().to_bytes();
        let shares = (1u32..)
            .zip(&self.points)
            .map(|(rank, key)| {
                let shared =
                    known(&u, rank).unwrap_or_else(|| (key * *ephemeral).compress().to_bytes());
                let shared = Zeroizing::new(shared);
                let share = Zeroizing::new(evaluate(&polynomial, rank).to_bytes());
                xor(&share, &share_mask(context, rank, &u, &shared))
            })
            .collect();
        let secret = polynomial.first().copied().unwrap_or_default(); // threshold is at least 1
        Encapsulated {
            u,
            shares,
            seed: xor(seed, &seed_mask(context, &secret)),
        }
    }
}

/// `f(x)` by Horner's rule.
fn evaluate(polynomial: &[Scalar], x: u32) -> Scalar {
    let x = Scalar::from(x);
    polynomial
        .iter()
        .rev()
        .fold(Scalar::ZERO, |sum, coefficient| sum * x + coefficient)
}

/// `Π j / (j − rank)` over the other ranks `j`.
fn lagrange_at_zero(rank: u8, ranks: &[u8]) -> Scalar {
    let own = Scalar::from(rank);
    let (mut top, mut bottom) = (Scalar::ONE, Scalar::ONE);
    for other in ranks.iter().filter(|other| **other != rank) {
        let other = Scalar::from(*other);
        top *= other;
        bottom *= other - own;
    }
    top * bottom.invert()
}

fn share_mask(context: &Digest, rank: u32, u: &[u8; 32], shared: &[u8; 32]) -> [u8; 32] {
    let parts: [&[u8]; 4] = [context.as_ref(), &rank.to_le_bytes(), u, shared];
    hash(Tag::SealMask, &parts).0
}

fn seed_mask(context: &Digest, secret: &Scalar) -> [u8; 32] {
    hash(Tag::SealSeed, &[context.as_ref(), secret.as_bytes()]).0
}

fn body_cipher(context: &Digest, seed: &[u8; 32]) -> ChaCha20Poly1305 {
    let mut key = hash(Tag::SealBody, &[context.as_ref(), seed]).0;
    let cipher = ChaCha20Poly1305::new(&key.into());
    key.zeroize();
    cipher
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    let mut out = *a;
    for (byte, other) in out.iter_mut().zip(b) {
        *byte ^= other;
    }
    out
}

//! What sealing costs in work: the bidder's sealing, and every peer's opening after the close, for a committee of a given size.

use super::{Failure, stats::Samples, subject::derive};
use std::{collections::BTreeMap, time::Instant};
use tender_auction::seal::{Associated, BidBody, CommitteeSecret, Opener, SealSeed, Sealed, seal};
use tender_wire::{AuctionId, BlockId, ChainId, FieldBytes, Price, SecretKey};

/// Work per bid, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct SealingCost {
    /// The bidder seals.
    pub(super) seal: Samples,
    /// A peer opens: recovers, seals again, compares, decrypts.
    pub(super) open: Samples,
}

/// Seals and opens `bids` bids of `entries` entries each under a committee of `members` keys with the protocol's threshold.
///
/// # Errors
/// [`Failure`] if a bid does not seal or does not open to what was sealed.
pub(super) fn measure(members: u16, bids: usize, entries: u32) -> Result<SealingCost, Failure> {
    let told =
        |e: &dyn std::fmt::Display| Failure::new(format!("sealing: {e}"), "please report this");
    let base = [0x5e; 32];
    let (chain, auction, block) = (ChainId([1; 32]), AuctionId([2; 32]), BlockId([3; 32]));
    let mut keys = Vec::new();
    let mut reveals = BTreeMap::new();
    let faulty = usize::from(members.saturating_sub(1) / 3);
    let threshold = usize::from(members).saturating_sub(faulty);
    for rank in 1..=members {
        let number = u64::from(rank);
        let seed = SealSeed::from_bytes(&mut derive(&base, "member", number));
        let member = SecretKey::from_seed(&mut derive(&base, "key", number)).public();
        let secret = CommitteeSecret::derive(&seed, &chain, &auction, &block);
        keys.push(secret.announce(&chain, &auction, &member).0);
        if let Ok(rank) = u8::try_from(rank)
            && reveals.len() < threshold
        {
            reveals.insert(rank, secret.reveal());
        }
    }
    let mut cost = SealingCost {
        seal: Samples::default(),
        open: Samples::default(),
    };
    let mut sealed_bids: Vec<(Associated, Vec<u8>, Sealed)> = Vec::new();
    for number in 0..bids as u64 {
        let associated = Associated {
            chain,
            auction,
            bidder: SecretKey::from_seed(&mut derive(&base, "bidder", number)).public(),
            asset: FieldBytes::from_u64(number),
            sequence: 0,
        };
        let body = BidBody {
            salt: derive(&base, "salt", number),
            entries: (0..entries).map(|task| (task, Price(1000))).collect(),
        };
        let plain = body.encode(entries as usize).map_err(|e| told(&e))?;
        let seed = derive(&base, "seed", number);
        let began = Instant::now();
        let sealed = seal(&keys, threshold, &associated, &plain, seed).map_err(|e| told(&e))?;
        cost.seal.push(began.elapsed().as_secs_f64() * 1e6);
        sealed_bids.push((associated, plain.to_vec(), sealed));
    }
    let opener = Opener::new(&keys, threshold, &reveals).map_err(|e| told(&e))?;
    for (associated, plain, sealed) in &sealed_bids {
        let began = Instant::now();
        let opened = opener.open(associated, sealed).map_err(|e| told(&e))?;
        cost.open.push(began.elapsed().as_secs_f64() * 1e6);
        if *opened != *plain {
            return Err(told(&"a bid opened to something else"));
        }
    }
    Ok(cost)
}

#[cfg(test)]
mod tests {
    #[test]
    fn committees_of_every_default_size_seal_and_open() {
        for members in [1, 4, 7] {
            let cost = super::measure(members, 2, 3).unwrap();
            assert_eq!((cost.seal.len(), cost.open.len()), (2, 2));
        }
    }
}

//! Who is to blame for a fork.
//!
//! Two blocks of one height can both be certified only if more than a third of the power broke the rules, and then what the honest heard names at
//! least so many (Tendermint's accountability; THREATS B23). Three things convict:
//!
//! | offence | shown by |
//! |---|---|
//! | equivocation | two votes of one slot |
//! | amnesia | a precommit for one block, a prevote for another in a later round, and no polka for that other in between (L28–L29) |
//! | a precommit out of nothing | a precommit for a block without a polka in its round (L36) |
//!
//! **Why it suffices.** Let A be certified in round r and B in r' ≥ r. If r' = r, the two quorums share more than a third, and all of it equivocates.
//! Otherwise take the first round after r with a polka for another block than A; its quorum shares more than a third with those who
//! precommitted A, and nothing in between excuses them. If there is no such polka, everyone who precommitted B did so out of nothing.
//!
//! **What it is worth.** Equivocation is proof by itself (see [`crate::evidence`]). The other two rest on votes being *absent*: nobody honest is named
//! if `votes` holds all that the honest have heard of the height, and whoever is named wrongly can show the missing polka.

use crate::{
    certificate::{CertificateError, CommitCertificate},
    validators::{ValidatorIndex, ValidatorSet},
    vote::{Vote, VoteKind, verify_vote},
};
use std::collections::{BTreeMap, BTreeSet};
use tender_wire::{BlockId, ChainId, PublicKey, Round};

/// What one validator is known to have voted for, by slot.
type Cast = BTreeMap<(Round, VoteKind), BTreeSet<Option<BlockId>>>;

/// Names the validators who must have broken a rule for these two certificates to exist, from the certificates and what was heard of their height.
/// Votes of another height, by strangers or with bad signatures are passed over. Nobody is named if the certificates agree.
///
/// # Errors
/// [`CertificateError`] if one of the two does not hold for this set, or not for the height of the first.
pub fn culprits(
    chain: &ChainId,
    validators: &ValidatorSet,
    certificates: [&CommitCertificate; 2],
    votes: &[Vote],
) -> Result<BTreeSet<PublicKey>, CertificateError> {
    let [CommitCertificate::V1(a), CommitCertificate::V1(b)] = certificates;
    let mut cast: BTreeMap<ValidatorIndex, Cast> = BTreeMap::new();
    let mut note = |index, slot, block| {
        let slots = cast.entry(index).or_default();
        slots.entry(slot).or_default().insert(block);
    };
    for certificate in certificates {
        let CommitCertificate::V1(commit) = certificate;
        certificate.verify(chain, validators, (a.height, commit.block))?;
        for (index, _) in certificate.precommits(validators)? {
            let slot = (commit.round, VoteKind::Precommit);
            note(index, slot, Some(commit.block));
        }
    }
    if a.block == b.block {
        return Ok(BTreeSet::new());
    }
    for vote in votes.iter().filter(|vote| vote.height == a.height) {
        let slot = (vote.height, vote.round, vote.kind);
        let holds = verify_vote(chain, slot, vote.block, &vote.validator, &vote.signature);
        if let (Some(index), Ok(())) = (validators.index_of(&vote.validator), holds) {
            note(index, (vote.round, vote.kind), vote.block);
        }
    }
    let polkas = polkas(validators, &cast);
    Ok(cast
        .iter()
        .filter(|(_, cast)| is_culprit(cast, &polkas))
        .filter_map(|(index, _)| Some(validators.at(*index)?.key))
        .collect())
}

/// Rounds and blocks with more than two thirds of the prevotes.
fn polkas(
    validators: &ValidatorSet,
    cast: &BTreeMap<ValidatorIndex, Cast>,
) -> BTreeSet<(Round, BlockId)> {
    let mut power: BTreeMap<(Round, BlockId), u128> = BTreeMap::new();
    for (index, slots) in cast {
        let own = validators.at(*index).map_or(0, |v| u128::from(v.power.0));
        for (round, block) in named(slots, VoteKind::Prevote) {
            let sum = power.entry((round, block)).or_default();
            *sum = sum.saturating_add(own);
        }
    }
    power.retain(|_, power| validators.is_quorum(*power));
    power.into_keys().collect()
}

fn is_culprit(cast: &Cast, polkas: &BTreeSet<(Round, BlockId)>) -> bool {
    let equivocates = cast.values().any(|blocks| blocks.len() > 1);
    let excused = |locked: Round, round: Round, block: BlockId| {
        let between = polkas.range((locked, BlockId::ZERO)..(round, BlockId::ZERO));
        between.into_iter().any(|(_, named)| *named == block)
    };
    let breaks_lock = |(locked, own): (Round, BlockId)| {
        named(cast, VoteKind::Prevote)
            .any(|(round, other)| round > locked && other != own && !excused(locked, round, other))
    };
    equivocates
        || named(cast, VoteKind::Precommit)
            .any(|precommit| !polkas.contains(&precommit) || breaks_lock(precommit))
}

/// The blocks voted for in votes of a kind.
fn named(cast: &Cast, kind: VoteKind) -> impl Iterator<Item = (Round, BlockId)> + '_ {
    cast.iter()
        .filter(move |((_, found), _)| *found == kind)
        .flat_map(|((round, _), blocks)| blocks.iter().flatten().map(|block| (*round, *block)))
}

//! The example's seven blocks, built and applied by the market itself.

use crate::example::{self, Example};
use std::collections::BTreeMap;
use tender_auction::market::{BlockOutcome, Market, MarketState};
use tender_consensus::{
    block::{Annex, Block, Header},
    certificate::CommitCertificate,
    chain::{Applied, ChainState},
    tx::TxBytes,
    validators::ValidatorSet,
    vote::{Vote, VoteKind},
};
use tender_wire::{Round, SecretKey};

/// One committed block of the run, and the state after it.
pub struct Step {
    pub block: Block,
    pub certificate: CommitCertificate,
    pub chain: ChainState<MarketState>,
    pub outcome: BlockOutcome,
}

/// Builds blocks 1 to 7 with the market itself.
pub fn run(example: &Example) -> Vec<Step> {
    let market = Market::new(example.genesis.clone()).unwrap();
    let mut chain = ChainState::genesis(&market);
    let [opening, keys, bids, reveals] = example.transactions();
    let none = Vec::new;
    let mut steps: Vec<Step> = Vec::new();
    for transactions in [opening, keys, bids, none(), none(), reveals, none()] {
        let candidates: Vec<_> = transactions
            .iter()
            .map(|tx| TxBytes::new(tx.to_bytes()).unwrap())
            .collect();
        let last_certificate = steps.last().map(|step| step.certificate.clone());
        let annex = Annex {
            last_certificate,
            ..Annex::default()
        };
        let time = chain.earliest();
        let (block, _) = chain
            .build(&market, time, annex, &candidates)
            .unwrap()
            .unwrap();
        assert_eq!(block.transactions, candidates, "every transaction applies");
        let Applied {
            chain: next,
            outcome,
        } = chain.apply(&market, &block).unwrap();
        let certificate = certify(
            &block.header,
            &chain.validators,
            &example::validators(),
            &[0, 1, 3],
        );
        chain = next;
        steps.push(Step {
            block,
            certificate,
            chain: chain.clone(),
            outcome,
        });
    }
    steps
}

/// Precommits in round 0 of the keys at these places.
pub fn certify(
    header: &Header,
    set: &ValidatorSet,
    keys: &[SecretKey],
    places: &[usize],
) -> CommitCertificate {
    let slot = (header.height, Round(0), VoteKind::Precommit);
    let id = header.id();
    let precommits: BTreeMap<_, _> = places
        .iter()
        .map(|place| {
            let key = &keys[*place];
            let mut signer = SecretKey::from_seed(&mut key.to_seed());
            let vote = Vote::sign(&mut signer, &header.chain, slot, Some(id)).unwrap();
            (set.index_of(&key.public()).unwrap(), vote.signature)
        })
        .collect();
    let certificate = CommitCertificate::assemble(set, (header.height, Round(0), id), &precommits);
    assert_eq!(
        certificate.verify(&header.chain, set, (header.height, id)),
        Ok(())
    );
    certificate
}

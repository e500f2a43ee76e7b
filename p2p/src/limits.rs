//! Every limit of a peer in one table: what it bounds, what becomes of one more, why, and the test that sends one more.
//!
//! A limit stands where its meaning does; here it is only named, so the value shown is the one that holds. [`Door`] lists the rows, door by
//! door; [`table`] gives them to programs, `tender limits` to people. `tests/limits.rs` holds the table complete: a numeric constant in the
//! sources that is neither here nor said there to be no limit fails it.

use serde::Serialize;
use std::time::Duration;
use tender_wire::{Price, Wire};

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Where what it bounds comes in.
    pub door: Door,
    /// The constant, as code names it.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// Of what.
    pub unit: &'static str,
    /// What becomes of one more.
    pub one_more: &'static str,
    /// Why it is there, and so large.
    pub reason: &'static str,
    /// What shows that it holds.
    pub shown: Shown,
}

/// What shows that a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// The test that sends as much, and one more.
    Test(&'static str),
    /// Nobody can send one more, and why.
    Unreachable(&'static str),
}

impl Limit {
    /// The constant without what every name begins with.
    pub fn short_name(&self) -> &'static str {
        let name = self.name;
        name.strip_prefix("crate::")
            .or_else(|| name.strip_prefix("tender_"))
            .unwrap_or(name)
    }
}

/// What constants are measured in.
trait Figure {
    fn figure(self) -> u64;
}

macro_rules! figures {
    ($($kind:ty),*) => {
        $(impl Figure for $kind {
            fn figure(self) -> u64 {
                u64::try_from(self).unwrap_or(u64::MAX)
            }
        })*
    };
}
figures!(u8, u16, u32, u64, usize);

impl Figure for Price {
    fn figure(self) -> u64 {
        self.0
    }
}

/// In milliseconds.
impl Figure for Duration {
    fn figure(self) -> u64 {
        self.as_millis().figure()
    }
}

impl Figure for u128 {
    fn figure(self) -> u64 {
        u64::try_from(self).unwrap_or(u64::MAX)
    }
}

/// `door "what comes in" { constant, "unit": "one more"; "reason"; test or unreachable("why"). … }`
macro_rules! limits {
    ($($door:ident $title:literal {
        $($name:path, $unit:literal: $more:literal; $why:literal; $shown:ident $(($because:literal))?.)*
    })*) => {
        /// Where what is bounded comes in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Door {
            $(
                #[doc = $title]
                #[doc = "\n\n| limit | of | one more | why | shown by |\n|---|---|---|---|---|"]
                $(#[doc = concat!(
                    "| `", stringify!($name), "` | ", $unit, " | ", $more, " | ", $why,
                    " | `", stringify!($shown), "` ", $($because,)? "|"
                )])*
                $door,
            )*
        }

        impl Door {
            /// Every door.
            pub const ALL: &[Door] = &[$(Door::$door),*];

            /// What comes in there.
            pub fn title(self) -> &'static str {
                match self {
                    $(Door::$door => $title,)*
                }
            }
        }

        /// Every limit, door by door.
        pub fn table() -> Vec<Limit> {
            vec![$($(Limit {
                door: Door::$door,
                name: stringify!($name),
                value: $name.figure(),
                unit: $unit,
                one_more: $more,
                reason: $why,
                shown: shown!($shown $(($because))?),
            }),*),*]
        }
    };
}

macro_rules! shown {
    (unreachable ($because:literal)) => {
        Shown::Unreachable($because)
    };
    ($test:ident) => {
        Shown::Test(stringify!($test))
    };
}

limits! {
    Wire "What crosses the wire, is hashed or kept: encodings and blocks" {
        tender_consensus::params::MAX_TX_BYTES, "bytes": "is no transaction: refused before it is hashed, its sender scored";
            "a bid with four proofs is 8 KiB, and what is gossiped must be small"; a_transaction_fills_its_cap_and_no_more.
        tender_consensus::params::MAX_BLOCK_TXS, "transactions of a block": "the body is its sender's fault; as a parameter, genesis is refused";
            "bounds the hashes of a compact block to 128 KiB"; a_body_holds_so_much_and_no_more.
        tender_consensus::params::MAX_BLOCK_BYTES, "bytes of transactions and witnesses": "genesis is refused; a block above its chain's own parameter is invalid";
            "one second of a 32 Mbit/s link"; parameters_have_bounds.
        tender_consensus::params::MAX_WITNESSES, "clearing witnesses of a block": "the body is its sender's fault";
            "far above the auctions that clear in one block"; a_body_holds_so_much_and_no_more.
        tender_consensus::params::MAX_BLOCK_EVIDENCE, "pieces of evidence in a block": "the body is its sender's fault";
            "each costs two signature checks"; a_body_holds_so_much_and_no_more.
        tender_consensus::message::MAX_GOSSIP_BYTES, "bytes of a gossip message": "refused unread, its sender scored";
            "a proposal with the largest block that is pushed"; messages_above_their_caps_are_refused_unread.
        tender_consensus::message::MAX_PUSHED_BLOCK_BYTES, "bytes of a compact block": "travels without its proposal: others ask for it";
            "what is gossiped must be small"; a_large_block_is_asked_for_not_pushed.
        tender_consensus::message::MAX_BUNDLE_MESSAGES, "proposals and votes in an answer": "the answer is its sender's fault";
            "five rounds of the largest set"; answers_hold_so_much_and_no_more.
        tender_consensus::message::MAX_RANGE_BLOCKS, "committed blocks in an answer": "the answer is its sender's fault";
            "a minute of blocks; larger histories are asked for page by page"; answers_hold_so_much_and_no_more.
        tender_consensus::message::MAX_RESPONSE_BYTES, "bytes of an answer": "refused unread, its sender blamed";
            "at least one committed block of any size"; messages_above_their_caps_are_refused_unread.
        tender_consensus::block::Header::MAX_BYTES, "bytes": "refused unread";
            "a header has 338"; messages_above_their_caps_are_refused_unread.
        tender_consensus::block::Block::MAX_BYTES, "bytes": "refused unread";
            "its payload, a certificate, evidence and the lengths of everything"; messages_above_their_caps_are_refused_unread.
        tender_consensus::block::CompactBlock::MAX_BYTES, "bytes": "refused unread";
            "witnesses may fill a block, hashes stand beside them"; messages_above_their_caps_are_refused_unread.
        tender_consensus::block::CommittedBlock::MAX_BYTES, "bytes": "refused unread";
            "a block and its certificate"; messages_above_their_caps_are_refused_unread.
        tender_consensus::certificate::CommitCertificate::MAX_BYTES, "bytes": "refused unread";
            "every signature of the largest set"; messages_above_their_caps_are_refused_unread.
        tender_consensus::evidence::Evidence::MAX_BYTES, "bytes": "refused unread, its sender scored";
            "two signed messages of some 200 bytes"; messages_above_their_caps_are_refused_unread.
        tender_consensus::message::Message::MAX_BYTES, "bytes": "refused unread, its sender scored";
            "that of gossip"; messages_above_their_caps_are_refused_unread.
        tender_consensus::message::Request::MAX_BYTES, "bytes": "refused unread, no answer";
            "a question for every transaction of the largest block"; messages_above_their_caps_are_refused_unread.
        tender_consensus::message::Response::MAX_BYTES, "bytes": "refused unread, its sender blamed";
            "that of answers"; messages_above_their_caps_are_refused_unread.
        tender_consensus::wal::WalRecord::MAX_BYTES, "bytes": "the vote log is damaged: no signing";
            "a block and the few bytes around it"; messages_above_their_caps_are_refused_unread.
        tender_consensus::wal::MAX_FRAME_BYTES, "bytes of a vote log's frame": "the vote log is damaged: no signing, nothing allocated";
            "that of its record"; a_frame_that_claims_more_than_a_record_is_damage.
        tender_wire::merkle::MAX_DEPTH, "siblings of a path": "the path proves nothing";
            "a list of 2^32 leaves"; a_path_has_so_many_siblings_and_no_more.
        tender_auction::transaction::Transaction::MAX_BYTES, "bytes": "refused unread";
            "that of transactions"; documents_above_their_caps_are_refused_unread.
        tender_auction::genesis::Genesis::MAX_BYTES, "bytes": "genesis is refused";
            "a document people hand round"; a_genesis_document_fits_its_cap.
        tender_auction::outcome::OutcomeRecord::MAX_BYTES, "bytes": "refused unread";
            "four evidences of the largest claims"; documents_above_their_caps_are_refused_unread.
        tender_auction::clearing::Witness::MAX_BYTES, "bytes": "refused unread";
            "an entry for every task and unit of the largest market"; documents_above_their_caps_are_refused_unread.
        tender_auction::market::witness::AuctionWitness::MAX_BYTES, "bytes": "the block is invalid";
            "an entry for every task and unit, below half of the smallest block, so that every auction clears"; documents_above_their_caps_are_refused_unread.
        tender_auction::seal::Sealed::MAX_BYTES, "bytes": "refused unread";
            "a share for every member of the largest committee, and the largest body"; documents_above_their_caps_are_refused_unread.
        tender_auction::market::MarketState::MAX_BYTES, "bytes": "refused unread";
            "a full registry and 2^16 sealed bids are below it"; documents_above_their_caps_are_refused_unread.
        tender_circuits::CapabilityType::MAX_BYTES, "bytes": "refused unread";
            "the largest schema and key"; records_above_their_caps_are_refused_unread.
        tender_circuits::ClaimSchema::MAX_BYTES, "bytes": "refused unread";
            "sixteen fields with 64 labels each"; records_above_their_caps_are_refused_unread.
        tender_circuits::Claim::MAX_BYTES, "bytes": "refused unread";
            "sixteen values of 36 bytes"; records_above_their_caps_are_refused_unread.
        tender_circuits::Credential::MAX_BYTES, "bytes": "refused unread";
            "a claim, a name and 130 bytes"; records_above_their_caps_are_refused_unread.
        tender_circuits::Attestation::MAX_BYTES, "bytes": "refused unread";
            "a claim and 185 bytes"; records_above_their_caps_are_refused_unread.
        tender_circuits::Evidence::MAX_BYTES, "bytes": "refused unread";
            "a claim and 236 bytes"; records_above_their_caps_are_refused_unread.
        tender_circuits::MerklePath::MAX_BYTES, "bytes": "refused unread";
            "an index, a count and a sibling per level"; records_above_their_caps_are_refused_unread.
        crate::node::status::StatusMessage::MAX_BYTES, "bytes": "refused unread, its sender scored";
            "a height, an id and a time"; rows_above_their_caps_are_refused_unread.
    }

    Consensus "Proposals, votes, evidence and sync" {
        tender_consensus::validators::MAX_VALIDATORS, "validators of a set": "the set is refused";
            "16 KiB of signatures a certificate"; a_set_has_so_many_members_and_no_more.
        tender_consensus::params::MAX_TIMEOUT_MS, "ms": "genesis is refused; timeouts of later rounds stay at it";
            "a round nobody waits longer for than a minute"; timeouts_grow_to_their_cap_and_stay.
        tender_consensus::params::MAX_BLOCK_INTERVAL_MS, "ms": "genesis is refused";
            "windows are counted in blocks"; parameters_have_bounds.
        tender_consensus::params::MAX_EVIDENCE_AGE, "heights": "genesis is refused";
            "bounds the offences in the state"; parameters_have_bounds.
        tender_consensus::kernel::MAX_FUTURE_ROUNDS, "rounds ahead per sender": "the message is dropped, nobody blamed";
            "honest senders move on, and a third of them takes us along"; future_rounds_are_bounded_per_sender.
        tender_consensus::kernel::MAX_ROUND_AHEAD, "rounds ahead of a proposal": "the proposal is dropped, nobody blamed";
            "finding the proposer of a round is work, done before a signature is checked"; future_rounds_are_bounded_per_sender.
        tender_consensus::proposer::ABSENT_AFTER, "blocks in a row whose certificates lack a validator": "it has no turns until one names it again";
            "two turns of four validators; a certificate made in haste costs nobody a turn"; who_is_away_is_passed_over_until_it_is_back.
        tender_consensus::proposer::MAX_SCHEDULE, "rounds of a height's schedule of proposers": "it begins anew";
            "votes may name any round, and counting to it is work"; the_furthest_round_has_a_proposer_at_once.
        tender_consensus::engine::MAX_NEXT_MESSAGES, "messages of the next height per validator": "the message is dropped, nobody blamed";
            "two rounds of a proposal and two votes, and some"; a_flood_of_future_heights_is_capped_per_sender.
        tender_consensus::engine::MAX_SOURCES, "peers likely to have a block": "the peer is not remembered";
            "one of them is asked at a time"; so_many_peers_are_remembered_for_a_block_and_no_more.
        tender_consensus::engine::MAX_BODIES, "blocks kept per height": "the oldest that no rule needs goes";
            "rules need a handful; the rest are those of the latest rounds"; so_many_bodies_are_kept_and_no_more.
        tender_consensus::engine::MAX_POOLED_EVIDENCE, "offences": "refused, nobody blamed";
            "more than a block counts, and one for every member of most sets"; so_many_offences_are_kept_and_no_more.
        tender_consensus::engine::MAX_CLAIMS, "peers held to the tip they claim": "one of them is forgotten";
            "one honest claim suffices"; so_many_claims_are_remembered_and_no_more.
        tender_consensus::engine::MAX_PAST_HEIGHTS, "heights below the current one": "the oldest is forgotten";
            "what late messages are held against"; equivocation_is_noticed_after_its_height_is_over.
        tender_consensus::engine::IDLE_ROUND_MS, "ms": "the round goes on";
            "a liar keeps an idle chain at a round a minute"; one_vote_for_nothing_does_not_keep_an_idle_chain_spinning.
    }

    Market "Genesis, auctions, bids, governance: what transactions may do" {
        tender_auction::genesis::MAX_VALIDATORS, "validators": "genesis, or the change, is refused";
            "sealing costs 32 bytes a member and bid"; genesis_holds_so_much_and_no_more.
        tender_auction::genesis::MAX_ISSUERS, "issuers ever": "genesis, or the change, is refused";
            "an evidence names them by bits of a u64"; genesis_holds_so_much_and_no_more.
        tender_auction::genesis::MAX_QUOTA, "leaves of one issuer": "genesis, or the change, is refused; a leaf above the issuer's own quota likewise";
            "de-listing zeroes them all in one block, half a millisecond each"; an_issuer_posts_its_quota_and_no_more.
        tender_auction::genesis::MAX_TYPES, "capability types ever": "genesis, or the change, is refused";
            "each is a key that every peer prepares"; governance_adds_so_many_and_no_more.
        tender_auction::genesis::MAX_OPEN_BUDGET, "shares that opening an auction may cost": "genesis is refused; a bid above the auction's share of it likewise";
            "2^16 bids of a committee of one, some seconds of work"; an_auction_admits_as_many_bids_as_may_be_opened_and_no_more.
        tender_auction::genesis::MAX_OPENERS, "keys on the openers' list": "genesis, or the change, is refused";
            "a list people agree on"; genesis_holds_so_much_and_no_more.
        tender_auction::task::MAX_SPEC_BYTES, "bytes of an auction": "the auction is refused, before it is signed";
            "what a transaction holds"; the_largest_of_everything_fits_a_transaction.
        tender_auction::task::MAX_CLASSES, "classes of an auction": "the auction is refused";
            "each is a market of its own to clear"; an_auction_holds_so_much_and_no_more.
        tender_auction::task::MAX_TASKS, "tasks of an auction": "the auction is refused";
            "bounds the outcome records of a block"; an_auction_holds_so_much_and_no_more.
        tender_auction::task::MAX_QUANTITY, "units of a task": "the auction is refused";
            "each unit is served by another bid"; an_auction_holds_so_much_and_no_more.
        tender_auction::task::MAX_UNITS, "units of an auction": "the auction is refused";
            "each is an outcome record and four bytes of a witness"; an_auction_holds_so_much_and_no_more.
        tender_auction::task::MAX_REQUIREMENTS, "requirements of a class, evidences of a bid": "the auction, or the bid, is refused";
            "each is a proof to verify"; a_bid_holds_so_much_and_no_more.
        tender_auction::task::MAX_BONUSES, "bonuses of a class": "the auction is refused";
            "each is judged for every bid"; bonuses_are_few_bounded_and_for_what_is_required.
        tender_auction::task::MAX_ENTRIES, "entries of a bid": "the auction is refused";
            "every bid is padded to as many"; an_auction_holds_so_much_and_no_more.
        tender_auction::task::MAX_SLOTS, "slots of a bid in a class": "the bid is refused";
            "a bid serves at most one unit of a task"; a_bid_holds_so_much_and_no_more.
        tender_auction::task::MAX_PRICE, "smallest units": "the auction is refused; a bid above its task's reserve is void";
            "sums over the largest market stay far within 128 bits"; an_auction_holds_so_much_and_no_more.
        tender_auction::task::MAX_NAME_BYTES, "bytes of a title or name": "the auction, or genesis, is refused";
            "it is shown in one line"; an_auction_holds_so_much_and_no_more.
        tender_auction::task::MAX_WINDOW_BLOCKS, "blocks of a window": "the auction is refused";
            "a live auction holds one of few places"; an_auction_holds_so_much_and_no_more.
        tender_auction::bid::MAX_SEQUENCE, "bids of one machine in an auction": "the bid is refused";
            "a replaced bid leaves a record"; a_bid_holds_so_much_and_no_more.
        tender_auction::seal::MAX_COMMITTEE, "keys a bid is sealed to": "nothing is sealed, nothing opens";
            "4 KiB a bid, and the work of opening it"; committees_are_bounded_and_their_keys_are_points.
        tender_auction::seal::MAX_BID_ENTRIES, "entries of a sealed body": "nothing is sealed; the bid is void";
            "that of auctions"; a_bid_holds_so_much_and_no_more.
        tender_auction::seal::MAX_BODY_BYTES, "bytes of a sealed body": "nothing is sealed; the bid is malformed";
            "the largest padded plaintext and its tag"; sealed_bids_are_bounded.
        tender_auction::clearing::MAX_PRICE, "smallest units": "the market is refused";
            "sums and products of a whole market fit 128 bits"; a_market_holds_so_much_and_no_more.
        tender_auction::clearing::MAX_TASKS, "tasks of a market": "the market is refused";
            "bounds the witness"; a_market_holds_so_much_and_no_more.
        tender_auction::clearing::MAX_BIDS, "bids of a market": "the market is refused";
            "the sealing budget admits no more"; a_market_holds_so_much_and_no_more.
        tender_auction::clearing::MAX_ENTRIES, "entries of a market": "the market is refused";
            "bounds memory, witness and sums"; the_largest_market_clears.
        tender_auction::clearing::MAX_NONCES, "nonces tried for one optimum": "the market cannot be cleared";
            "each fails with a probability below 2^-36"; every_small_market_clears_as_enumeration_says.
        tender_auction::market::admission::MAX_LEASE_SECONDS, "s from the last window to the lease's end": "the auction is refused";
            "bounds how long a reservation is kept"; leases_are_so_long_and_no_longer.
        tender_auction::market::auction::MAX_AUCTION_ENTRIES, "entries of an auction, replaced bids included": "the bid is refused";
            "they clear in one block, and each leaves half a kilobyte"; no_auction_takes_in_more_than_can_be_opened_and_cleared.
        tender_auction::market::auction::MAX_CLEARING_WORK, "units times entries of an auction": "the bid is refused";
            "the dearest markets clear within half a propose timeout"; the_bid_that_could_not_be_cleared_in_time_is_refused.
        tender_auction::market::execute::MAX_BLOCK_BIDS, "bids of a block": "the block is invalid";
            "1024 proofs, of a millisecond even one by one, where none was verified before"; t26_a_block_holds_so_many_bids_and_no_more.
        tender_auction::market::verifier::TOGETHER_ARKWORKS, "proofs verified together on arkworks, or one by one": "waits for the next batch";
            "a fifth of a second, whatever they are"; one_peer_or_client_cannot_fill_a_batch.
        tender_auction::market::verifier::TOGETHER_PORTABLE, "the same in lanes one wide": "waits for the next batch";
            "some tens of milliseconds, bad ones more"; one_peer_or_client_cannot_fill_a_batch.
        tender_auction::market::verifier::TOGETHER_IFMA, "the same in lanes eight wide; of a block, none after bad ones": "waits for the next batch";
            "some ten milliseconds, bad ones more"; a_block_full_of_bad_proofs_costs_a_few_of_them_and_one_round.
        tender_auction::market::phases::MAX_BLOCK_CLEARINGS, "auctions that clear in a block": "waits for the next block";
            "bounds a block's work"; auctions_that_are_too_much_together_clear_in_blocks_of_their_own.
        tender_auction::market::witness::MAX_CLEARINGS, "cleared auctions remembered": "the oldest is forgotten and cleared anew if needed";
            "what one block can clear, twice over"; the_oldest_goes_first_and_the_bound_holds.
        tender_auction::market::settle::MAX_RUNNERS_UP, "runners-up of a task": "loses its place in the queue";
            "who comes next when a winner does not accept"; so_many_runners_up_are_kept_and_no_more.
        tender_auction::market::state::MAX_SIGNERS, "signers ever": "a new signer's transaction is refused";
            "a number that was used may never be forgotten"; the_chain_remembers_so_many_signers_and_no_more.
        tender_auction::market::state::MAX_LIVE_PER_OPENER, "live auctions of an opener": "the auction is refused";
            "no opener may lock out the others"; openers_hold_so_many_auctions_and_no_more.
        tender_auction::market::state::MAX_LIVE, "live auctions": "the auction is refused";
            "bounds openings and clearings"; openers_hold_so_many_auctions_and_no_more.
        tender_auction::market::state::MAX_SETTLED, "cleared auctions whose assignments run": "the auction is refused";
            "bounds the state that long leases hold"; openers_hold_so_many_auctions_and_no_more.
        tender_auction::market::state::MAX_SETTLED_PER_OPENER, "of those, one opener's": "the auction is refused";
            "no opener may lock out the others"; openers_hold_so_many_auctions_and_no_more.
        tender_auction::market::state::MAX_UNITS_IN_ALL, "units of auctions that are not over": "the auction is refused";
            "all their assignments may end in one block"; auctions_that_are_not_over_want_so_many_units_and_no_more.
        tender_auction::market::state::MAX_UNITS_PER_OPENER, "of those, one opener's": "the auction is refused";
            "no opener may lock out the others"; auctions_that_are_not_over_want_so_many_units_and_no_more.
        tender_auction::market::registry::MAX_ROOTS, "registry roots that stay good": "the oldest goes; bids under it are refused or suspended";
            "a proof stays usable for 17 minutes of one change a second"; so_many_roots_stay_good_and_no_more.
        tender_auction::market::registry::MAX_REVOKED_SERIALS, "attestations an issuer revokes": "the revocation is refused";
            "bounds the table; de-listing the issuer revokes all"; an_issuer_revokes_so_many_attestations_and_no_more.
        tender_auction::market::governance::MAX_OPEN_PROPOSALS, "open proposals of a validator": "the approval is refused";
            "each is kept whole until it passes or expires"; a_validator_opens_so_many_proposals_and_no_more.
        tender_auction::market::governance::MAX_PROPOSAL_LIFE, "blocks to a proposal's expiry": "the approval is refused";
            "a proposal that passed is remembered until then"; a_validator_opens_so_many_proposals_and_no_more.
        tender_auction::market::governance::MAX_WAITING, "changes of the validator set that wait": "the change is dropped";
            "one takes effect per height"; so_many_set_changes_wait_and_no_more.
        tender_auction::market::opening::MAX_OPENINGS, "opened bids remembered": "the oldest is forgotten and opened anew if needed";
            "as many as the largest auction admits"; the_oldest_goes_first_and_the_bound_holds.
        tender_auction::market::verifier::MAX_VERDICTS, "good proofs remembered": "the oldest is forgotten and verified anew if needed";
            "some minutes of full blocks, 8 MiB"; the_oldest_goes_first_and_the_bound_holds.
        tender_auction::market::verifier::MAX_KEYS, "prepared keys remembered": "the oldest is forgotten and prepared anew if needed";
            "as many as a chain has types"; the_oldest_goes_first_and_the_bound_holds.
    }

    Proofs "Types, claims, keys and proofs" {
        tender_circuits::issuer::MAX_ISSUERS, "issuers of a mask": "is no issuer index";
            "bits of a u64"; there_are_so_many_issuers_and_no_more.
        tender_circuits::registry::DEPTH, "levels of the registry": "a path of another length proves nothing";
            "a million credentials, and what circuits are built for"; a_path_of_the_wrong_length_neither_proves_nor_panics.
        tender_circuits::registry::CAPACITY, "leaves of the registry": "the leaf is refused";
            "a full tree"; refusals.
        tender_circuits::schema::MAX_FIELDS, "fields of a claim": "the type is refused";
            "each is a public input, which verification pays for"; schemas_hold_so_much_and_no_more.
        tender_circuits::schema::MAX_LABELS, "labels of a mask": "the type is refused";
            "bits of a u64"; schemas_hold_so_much_and_no_more.
        tender_circuits::schema::MAX_NAME, "bytes of a field's name": "the type is refused";
            "it is printed in tables"; schemas_hold_so_much_and_no_more.
        tender_circuits::schema::MAX_UNIT, "bytes of a unit": "the type is refused";
            "it is printed in tables"; schemas_hold_so_much_and_no_more.
        tender_circuits::schema::MAX_LABEL, "bytes of a label": "the type is refused";
            "it is printed in tables"; schemas_hold_so_much_and_no_more.
        tender_circuits::capability::MAX_TYPE_NAME, "bytes of a type's name": "the type is refused";
            "it is printed in tables"; schemas_hold_so_much_and_no_more.
        tender_circuits::names::MAX_EXACT_NAME, "bytes of a name for a hash": "the value is refused";
            "shorter than a hash, so that a mistyped one is no name"; a_name_for_a_hash_is_so_long_and_no_longer.
        tender_circuits::gadgets::range::MAX_BITS, "bits of a range check": "is cut to it";
            "one fewer than the modulus has"; a_range_check_has_so_many_bits_and_no_more.
        tender_circuits::r1cs::MAX_CONSTRAINTS, "constraints of a circuit": "no key is made";
            "300 MB of key and a minute of proving"; a_circuit_of_one_constraint_too_many_gets_no_keys.
        tender_circuits::snarkjs::MAX_INPUTS, "public inputs of a foreign key": "the key is refused";
            "what a capability type can have"; a_foreign_key_has_so_many_inputs_and_no_more.
        tender_circuits::snarkjs::MAX_DIGITS, "digits of a number": "the number is refused";
            "those of 2^256"; a_number_has_one_form_and_is_below_its_modulus.
        tender_circuits::verify::RETESTS, "terms of tests per proof of a batch": "the rest is verified one by one";
            "whatever its proofs are, a batch costs little more than they would alone"; large_batches_with_few_and_with_many_bad_proofs.
        tender_circuits::verify::MILLER_WINDOW, "pairs prepared together": "waits for the next window";
            "20 KiB a pair"; one_pair_more_than_a_window_is_judged_in_the_next.
    }

    Network "Connections, gossip and requests of peers" {
        crate::network::limits::MAX_CONNECTIONS, "connections of strangers": "the connection is refused";
            "bounds what unread bytes can fill; peers named by id have places beside"; connections_are_so_many_either_way_and_in_all.
        crate::network::limits::MAX_INCOMING, "connections strangers opened": "the connection is refused";
            "keeps room for those this peer chooses"; b20_reserved_peers_find_room_whatever_strangers_take.
        crate::network::limits::MAX_OUTGOING, "connections this peer opened": "the dial fails";
            "enough for a mesh"; connections_are_so_many_either_way_and_in_all.
        crate::network::limits::MAX_HANDSHAKES, "handshakes strangers began": "the connection is refused";
            "each costs a key exchange and lives five seconds"; b20_reserved_peers_find_room_whatever_strangers_take.
        crate::network::limits::MAX_HANDSHAKES_PER_ADDRESS, "of those, from one address or /64": "the connection is refused";
            "one host keeps nobody else out"; b16_one_address_holds_few_handshakes.
        crate::network::limits::MAX_DIALS, "dials of strangers under way": "the dial fails";
            "each costs a key exchange and lives five seconds"; dials_under_way_are_few_and_one_that_ends_makes_room.
        crate::network::limits::MAX_SHUT_OUT, "peers shut out at once": "the one whose time ends first is let in";
            "names are free: it keeps out who was caught, not who changes them"; a_peer_is_shut_out_for_its_time_and_the_memory_of_it_is_bounded.
        crate::network::limits::MAX_PER_PEER, "connections of one peer": "the connection is refused";
            "two that dial each other at once hold two, and one may be dying"; b20_reserved_peers_find_room_whatever_strangers_take.
        crate::network::limits::MAX_PER_ADDRESS, "connections from one address or /64": "the connection is refused";
            "an office behind one address, not a flood"; b17_many_identities_from_one_address.
        crate::network::gossip::COLOCATED_PEERS, "peers of one address in good standing": "their scores fall";
            "identities are free, addresses less so"; so_many_peers_of_one_address_are_in_good_standing_and_no_more.
        crate::network::topic::MAX_STATUS_BYTES, "bytes of a status message": "refused before it leaves; rejected on arrival, its sender scored";
            "a height, an id, and room for a proof of identity"; too_large_is_refused_before_it_leaves.
        crate::network::gossip::IDS_PER_CONTROL, "ids in one IHAVE or IWANT": "not advertised, not asked for";
            "what gossipsub reads of one, and an honest peer may fail to send"; a_busy_network_wider_than_a_mesh_does_not_fall_apart.
        crate::network::gossip::BROKEN_PROMISES, "offences against gossipsub forgiven": "its score falls, and nothing it says is heard";
            "an honest peer on a slow line breaks some"; b19_control_messages_without_end_cost_the_network_nothing.
        crate::network::places::PER_PEER, "messages of one peer not yet judged": "ignored, unread";
            "one that floods drowns nobody"; b8_one_peer_and_all_strangers_hold_so_many_places_and_no_more.
        crate::network::places::OF_STRANGERS, "of those, of all not named by id": "ignored, unread";
            "the rest of the queue is for those named"; b8_one_peer_and_all_strangers_hold_so_many_places_and_no_more.
        crate::network::task::WASTE_AT_ONCE, "messages of no use from one stranger": "shut out";
            "one that catches up with a fast chain ignores a thousand a second"; b19_a_flood_of_useless_messages_ends_with_its_sender_shut_out.
        crate::network::task::WASTE_PER_SECOND, "of those, forgiven a second": "shut out";
            "one that catches up with a fast chain ignores a thousand a second"; so_many_at_once_and_so_many_a_second.
        crate::network::task::SHUT_OUT, "ms a stranger is shut out": "let in again";
            "it may have been a fault"; a_peer_is_shut_out_for_its_time_and_the_memory_of_it_is_bounded.
        crate::network::task::SLOW_DEADLINE, "ms a stranger may leave its messages untaken": "disconnected";
            "those that wait for it hold memory"; b13_away_for_many_heights_or_never_there_a_peer_catches_up_with_a_chain_that_goes_on.
        crate::network::gossip::QUEUE_PER_PEER, "messages waiting for a slow peer": "the peer misses it";
            "a burst of a large set's votes"; a_slow_peer_misses_what_its_queue_does_not_hold.
        crate::network::gossip::MAX_MESSAGES_PER_RPC, "messages of one packet": "the packet is dropped and its stream closed";
            "honest peers send one"; b19_a_packet_of_more_messages_than_one_carries_is_dropped_whole.
        crate::network::gossip::MEMORY_HEARTBEATS, "heartbeats of 400 ms a message can be judged": "the verdict comes too late: not forwarded";
            "ten seconds, for a proof to be verified behind others"; a_verdict_that_comes_too_late_forwards_nothing.
        crate::network::gossip::DUPLICATE_MEMORY, "ms the same bytes are known": "carried again as new";
            "longer than any message wanders"; the_same_bytes_travel_once_until_they_are_forgotten.
        crate::network::outbox::MAX_AGE, "ms an own message waits for a first peer": "dropped";
            "rounds have passed, and status was said again"; bounded_in_count_bytes_and_age.
        crate::network::outbox::MAX_MESSAGES, "own messages waiting for a first peer": "the oldest is dropped";
            "seconds of a validator alone"; bounded_in_count_bytes_and_age.
        crate::network::outbox::MAX_BYTES, "bytes of those": "the oldest are dropped";
            "seconds of a validator alone"; bounded_in_count_bytes_and_age.
        crate::network::MAX_REQUEST_BYTES, "bytes of a question": "refused before it leaves; the stream is closed on arrival";
            "consensus' largest, in an envelope"; requests_are_answered_up_to_the_cap.
        crate::network::MAX_RESPONSE_BYTES, "bytes of an answer": "not sent; not read beyond its length";
            "consensus' largest, in an envelope"; requests_are_answered_up_to_the_cap.
        crate::network::task::INBOUND_PER_PEER, "questions of one peer at once": "refused: the stream is closed";
            "each may hold an answer of 8 MiB"; one_peer_cannot_take_every_request_slot.
        crate::network::task::INBOUND, "questions of all strangers at once": "refused: the stream is closed";
            "each may hold an answer of 8 MiB; peers named by id have places beside"; strangers_do_not_take_the_requests_of_reserved_peers.
        crate::network::task::REQUESTS_AT_ONCE, "questions of one stranger one after another": "refused: the stream is closed";
            "catching up takes some ten a second"; so_many_at_once_and_so_many_a_second.
        crate::network::task::REQUESTS_PER_SECOND, "of those, a second": "refused: the stream is closed";
            "catching up takes some ten a second"; so_many_at_once_and_so_many_a_second.
        crate::network::task::OUTBOUND_PER_PEER, "own questions to one peer at once": "not asked: busy";
            "each may bring an answer of 8 MiB"; one_peer_cannot_take_every_request_slot.
        crate::network::task::OUTBOUND, "own questions at once": "not asked: busy";
            "each may bring an answer of 8 MiB"; own_questions_are_so_many_at_once_and_one_more_is_not_asked.
        crate::network::REQUEST_TIMEOUT, "ms for an answer": "the question is over";
            "8 MiB over a slow line"; a_question_without_an_answer_is_over_in_its_time.
        crate::network::transport::HANDSHAKE_TIMEOUT, "ms of a handshake": "the connection is dropped";
            "strangers must not hold places by saying nothing"; b16_half_open_handshakes_are_shown_out_and_an_honest_dial_succeeds.
        crate::network::task::IDENTIFY_DEADLINE, "ms to say of which chain a peer is": "the connection is closed";
            "a peer of no chain is no peer"; who_does_not_say_of_which_chain_it_is_is_cut_off.
        crate::network::transport::IDLE_TIMEOUT, "ms without any protocol but pings": "the connection is closed";
            "gossip keeps every peer's open"; a_connection_that_no_protocol_uses_is_closed.
        crate::network::transport::PING_TIMEOUT, "ms for a ping's answer": "counts as a failed ping";
            "generous, for a machine busy with proofs"; a_peer_that_leaves_pings_unanswered_is_cut_off_and_one_that_answers_is_not.
        crate::network::task::PING_FAILURES, "failed pings in a row, beside a first": "the connection is closed";
            "one may be lost to a busy machine, and libp2p does not tell of it"; a_peer_that_leaves_pings_unanswered_is_cut_off_and_one_that_answers_is_not.
        crate::network::muxer::STREAMS, "streams of a connection": "the connection is told to end";
            "gossip and ping four, kad and identify a few, requests sixteen"; b16_streams_nobody_ends_are_few.
        crate::network::muxer::CONNECTION_BYTES, "unread bytes of a yamux connection": "the sender waits";
            "the window yamux gives each stream, which never grows; with the connections, 1 GiB"; b15_no_window_grows_for_a_peer_that_answers_pings_late.
        crate::network::transport::REQUEST_STREAMS, "requests of a connection": "the stream is dropped";
            "both directions, with room"; questions_beyond_those_a_connection_may_have_at_once_are_dropped.
        crate::network::transport::NEGOTIATING_STREAMS, "streams without a protocol yet": "waits until one of those has one, or its time is up";
            "agreeing takes one round trip"; b16_a_stream_beyond_those_without_a_protocol_waits_for_its_turn.
        crate::network::transport::EVENTS_PER_CONNECTION, "events of a connection waiting": "the connection waits";
            "back pressure"; unreachable("libp2p's own back pressure").
        crate::network::transport::QUIC_STREAM_BYTES, "unread bytes of a QUIC stream": "the sender waits";
            "back pressure"; unread_quic_makes_its_sender_wait.
        crate::network::transport::QUIC_CONNECTION_BYTES, "unread bytes of a QUIC connection": "the sender waits";
            "back pressure; with the connections, 256 MiB"; unread_quic_makes_its_sender_wait.
        crate::network::transport::KAD_PACKET_BYTES, "bytes of a kad message": "the stream is closed";
            "20 peers with some addresses each"; a_kad_message_is_so_long_and_no_longer.
        crate::network::address::MAX_ADDRESSES, "addresses kept of a peer": "not kept";
            "a few interfaces over two transports"; the_address_book_of_a_peer_is_bounded.
        crate::network::bootstrap::MAX_BOOTSTRAP, "addresses to dial for ever": "the peer does not start, and says so";
            "more than a person writes"; more_bootstrap_addresses_than_are_dialled_are_refused.
        crate::network::bootstrap::MAX_PAUSE, "ms between two dials": "the pause grows no further";
            "a peer that comes back is found soon"; pauses_grow_to_a_cap_and_never_end.
        crate::network::bootstrap::MAX_PAUSE_LOCAL, "ms between two dials on loopback": "the pause grows no further";
            "an attempt costs nothing there"; pauses_grow_to_a_cap_and_never_end.
        crate::network::task::WANTED_PEERS, "peers this peer looks for": "no more are dialled";
            "a mesh with room to choose"; known_peers_are_dialled_some_at_a_look_until_enough_are_connected.
        crate::network::task::WANTED_DIALLED, "of those, dialled by itself": "no more are dialled";
            "who dials in may be one and the same"; known_peers_are_dialled_some_at_a_look_until_enough_are_connected.
        crate::network::task::DIALS_PER_TICK, "known peers dialled every 200 ms": "waits for the next look";
            "handshakes are work"; known_peers_are_dialled_some_at_a_look_until_enough_are_connected.
        crate::network::task::MAX_BANNED, "banned peers": "not banned, and said so";
            "a list for people, not a defence"; so_many_peers_are_banned_and_one_more_is_refused_and_stays.
        crate::network::task::AGENT_CHARS, "characters of what a peer says it runs": "cut";
            "it is printed"; what_a_peer_says_it_runs_is_cut_and_made_safe.
        crate::network::COMMAND_QUEUE, "commands waiting for the network": "the sender waits";
            "back pressure within the peer"; unreachable("a bounded channel: its sender waits").
        crate::network::EVENT_QUEUE, "events waiting for the node": "gossip is ignored, a question goes unanswered";
            "the network waits for nobody"; a_node_that_does_not_read_its_events_stalls_nobody.
        crate::network::LISTEN_TIMEOUT, "ms to bind an address": "the peer does not start, and says so";
            "a socket that is not bound by then never will be"; an_address_that_is_not_bound_in_time_is_a_clear_error.
    }

    Api "The HTTP API" {
        crate::api::MAX_CONNECTIONS, "connections, beside listeners'": "one that keeps its place without need is closed for it";
            "thousands of silent ones keep nobody out who asks at once"; the_longest_silence_makes_way.
        crate::api::door::MAX_HEAD_BYTES, "bytes of a request's head": "the connection is closed";
            "buffers grow with heads"; a_head_without_end_is_cut_off.
        crate::api::MAX_BODY_BYTES, "bytes of a request's body": "413 too_large";
            "a transaction with room to spare"; what_is_submitted_is_found_again_and_what_is_wrong_is_named.
        crate::api::signing::MAX_DOCUMENT_BYTES, "bytes of an auction document": "413 too_large";
            "1024 tasks are about 300 KiB"; agents_in_any_language_open_bid_win_and_prove_it.
        crate::api::REQUEST_TIMEOUT, "ms to read a request and begin its answer": "504 timeout";
            "nothing here takes seconds"; an_answer_begins_in_time_or_not_at_all.
        crate::api::door::HEAD_WITHIN, "ms to the end of a connection's first head": "the connection is closed";
            "neither silence nor dripping bytes may hold a place"; a_first_head_that_does_not_come_ends_soon.
        crate::api::door::GRACE, "ms a connection has for its request, or for more of its answer, while others wait": "it makes way";
            "a burst of clients who mean to speak is not turned away"; slow_bodies_and_deaf_clients_make_way_too.
        crate::api::door::IDLE, "ms between an answer and the next head, or of a stream that cannot be written to": "the connection is closed";
            "neither silence nor dripping bytes may hold a place"; a_connection_lives_as_long_as_it_is_answered.
        crate::api::door::ANSWER_WITHIN, "ms to take an answer, and more for a long one": "the connection is closed";
            "an answer that nobody reads is memory"; an_answer_that_is_not_read_is_not_kept.
        crate::api::guard::KEPT_BODY_BYTES, "bytes of a body after which a connection is kept": "the connection is closed after its answer";
            "buffers grow with bodies, and stay as long as their connections"; b22_web_pages_strangers_and_open_doors_are_kept_out.
        crate::api::extract::MAX_KEY_CHARS, "characters of an Idempotency-Key": "400 bad_request";
            "a key names one request"; a_key_is_of_so_many_visible_characters_and_no_more.
        crate::api::large::MAX_MADE, "large answers made at once": "waits for its turn";
            "each may hold tens of megabytes while it is made"; so_many_large_answers_are_made_at_once_and_one_more_waits_for_its_turn.
        crate::api::large::MAX_SENT_KIB, "KiB of large answers on their way": "503 busy";
            "whoever reads slowly or not at all holds no more"; answers_that_nobody_reads_leave_no_room_for_more_and_small_ones_go_on.
        crate::api::large::SMALL_BYTES, "bytes of an answer that needs no room": "needs room";
            "sixteen megabytes over all connections"; answers_that_nobody_reads_leave_no_room_for_more_and_small_ones_go_on.
        crate::api::large::ROOM_WITHIN, "ms a large answer waits for room": "503 busy";
            "below the request's time"; answers_that_nobody_reads_leave_no_room_for_more_and_small_ones_go_on.
        crate::api::MAX_READS, "answers that read the disk at once": "waits for its turn";
            "consensus needs the disk too"; so_much_blocks_at_once_and_one_more_waits_for_its_turn.
        crate::config::LISTENERS, "event streams, unless the configuration says otherwise": "503 too_many_listeners";
            "a usual process may have 1024 files open"; a_thousand_listeners_leave_room_and_a_sleeper_is_told.
        crate::config::MAX_LISTENERS, "event streams that a configuration may allow": "the configuration is refused";
            "each is a connection and some 30 KiB"; a_configuration_allows_so_many_listeners_and_no_more.
        crate::api::events::PAGE_BLOCKS, "blocks read at once for a listener": "read next";
            "a page in memory per listener"; ranges_are_capped_in_count_and_bytes.
        crate::api::events::PAGE_BYTES, "bytes of blocks read at once for a listener": "read next";
            "a page in memory per listener"; ranges_are_capped_in_count_and_bytes.
        crate::node::shared::EVENT_QUEUE, "events kept for a slow listener": "the listener is told of the gap and reads the disk";
            "the peer waits for no listener"; a_thousand_listeners_leave_room_and_a_sleeper_is_told.
        crate::api::auctions::MAX_PAGE, "auctions of a page": "the page ends";
            "half a megabyte of JSON"; a_page_holds_so_many_auctions_and_is_read_few_at_a_time.
        crate::api::auctions::READ_AT_ONCE, "auctions of a page read from the disk at once": "read next";
            "each may be 64 KiB, and is told in half of one"; a_page_holds_so_many_auctions_and_is_read_few_at_a_time.
        crate::api::blocks::MAX_PAGE_BLOCKS, "blocks of a page": "the page ends";
            "auditors read on"; ranges_are_capped_in_count_and_bytes.
        crate::api::blocks::MAX_PAGE_BYTES, "bytes of a page": "the page ends";
            "at least one block of any size"; ranges_are_capped_in_count_and_bytes.
        crate::api::jobs::MAX_AT_ONCE, "signing jobs that run": "waits";
            "a proof keeps a core busy"; so_many_wait_and_no_more_and_ends_are_kept_for_a_while.
        crate::api::jobs::MAX_WAITING, "signing jobs that wait": "429 busy";
            "some proofs' time"; so_many_wait_and_no_more_and_ends_are_kept_for_a_while.
        crate::api::jobs::MAX_KEPT, "ended jobs kept": "the oldest is forgotten";
            "for who asks later"; so_many_wait_and_no_more_and_ends_are_kept_for_a_while.
        crate::api::jobs::ANSWER_WITHIN, "ms an answer waits for its job": "202 with where to ask again";
            "below the request's time"; an_answer_waits_a_while_and_the_job_goes_on.
    }

    Node "Judging, waiting, storing: the peer's own queues" {
        crate::node::admission::MAX_DUTIES, "this validator's seal keys and reveals waiting to be judged": "tried again after the next block";
            "both for every live auction, twice; they wait for nobody"; duties_wait_for_nobody.
        crate::node::admission::MAX_GOSSIP, "gossiped transactions waiting to be judged": "ignored, nobody is blamed";
            "a second of proofs one by one"; duties_wait_for_nobody.
        crate::node::admission::MAX_GOSSIP_PER_PEER, "of those, one peer's": "ignored, nobody is blamed";
            "a flood waits behind itself"; after_a_block_what_was_set_aside_is_queued_again_or_given_back.
        crate::node::admission::MAX_SUBMITTED, "submitted transactions waiting to be judged": "429 busy";
            "half a second of proofs one by one"; duties_wait_for_nobody.
        crate::node::admission::MAX_SUBMITTED_PER_CLIENT, "of those, one client's": "429 busy";
            "a flood waits behind itself"; a_client_that_floods_waits_behind_itself.
        crate::node::patience::BURST, "transactions that no peer accepts, of one client": "429 too_many_refused";
            "each may cost a proof's verification"; patience_ends_for_one_client_and_comes_back_with_time.
        crate::node::patience::FORGIVEN_AFTER, "ms until one of those is forgiven": "429 too_many_refused";
            "who made mistakes may go on"; patience_ends_for_one_client_and_comes_back_with_time.
        crate::node::patience::MAX_CLIENTS, "clients whose patience is remembered": "who spent least is forgotten";
            "more than can be connected"; many_clients_do_not_make_a_flooder_forgotten.
        crate::node::admission::MAX_ASIDE, "transactions set aside for the next block": "judged as things stand";
            "honest peers are a block apart"; after_a_block_what_was_set_aside_is_queued_again_or_given_back.
        crate::node::admission::MAX_ASIDE_PER_PEER, "of those, one peer's": "judged as things stand";
            "one peer cannot take every place"; one_peer_sets_aside_so_much_and_leaves_room_for_others.
        crate::node::admission::SHARE_OF_ONE, "parts of a batch of proofs, of which one peer or client has one": "waits for the next batch";
            "bad proofs spoil a quarter of a batch at most"; one_peer_or_client_cannot_fill_a_batch.
        crate::node::admission::MAX_EXAMINED, "transactions looked at for one batch": "waits for the next batch";
            "bids must not wait behind a flood of what is refused"; a_flood_of_what_is_refused_keeps_no_bid_waiting_and_nothing_is_kept_too_long.
        crate::node::admission::PATIENCE, "ms a gossiped transaction waits for a verdict": "entered as this peer's own, or ignored";
            "gossip forgets it after ten seconds"; a_flood_of_what_is_refused_keeps_no_bid_waiting_and_nothing_is_kept_too_long.
        crate::mempool::MAX_TXS, "transactions waiting for a block": "refused, nothing is evicted";
            "several full blocks"; l1_a_flood_leaves_room_for_committee_duties.
        crate::mempool::MAX_BYTES, "bytes of those": "refused, nothing is evicted";
            "some full blocks"; l1_a_flood_of_large_transactions_leaves_room_for_committee_duties.
        crate::mempool::MAX_PER_SIGNER, "of those, one signer's": "refused";
            "a rack of credentials at once"; l1_one_signer_or_peer_fills_its_own_room_only.
        crate::mempool::MAX_PER_PEER, "of those, brought by one peer": "refused";
            "three such peers do not fill the pool"; l1_one_signer_or_peer_fills_its_own_room_only.
        crate::mempool::COMMITTEE_ROOM, "places for seal keys and reveals alone": "refused to everything else";
            "64 auctions with a committee of sixteen"; l1_a_flood_leaves_room_for_committee_duties.
        crate::mempool::COMMITTEE_BYTES, "bytes for seal keys and reveals alone": "refused to everything else";
            "four KiB each"; l1_a_flood_of_large_transactions_leaves_room_for_committee_duties.
        crate::mempool::RESEND_AFTER, "ms until an own transaction is gossiped again": "gossiped again";
            "gossip carries the same bytes once a minute"; own_transactions_are_due_again_after_the_memory_of_gossip_not_before.
        crate::mempool::MAX_RESENT, "own transactions gossiped again at once": "gossiped the next second";
            "no more than a neighbour can take"; what_nobody_heard_is_due_at_once_and_so_many_at_a_time.
        crate::mempool::refused::MAX_REMEMBERED, "refusals remembered, of each kind": "the oldest is forgotten";
            "for who asks what became of a transaction"; a_flood_of_others_does_not_push_out_what_was_submitted_here.
        crate::node::shared::REFUSALS_TOLD, "refusals told to listeners at once": "counted, and told as a gap";
            "each is written to every listener"; a_thousand_listeners_leave_room_and_a_sleeper_is_told.
        crate::node::shared::TOLD_AGAIN_AFTER, "ms until one more refusal is told": "counted, and told as a gap";
            "each is written to every listener"; a_thousand_listeners_leave_room_and_a_sleeper_is_told.
        crate::node::archive::RECORDS_AT_ONCE, "outcome records read from the disk at once": "read next";
            "half a kilobyte each"; records_are_read_so_many_at_once_and_the_rest_next.
        crate::node::predict::MAX_REASON_CHARS, "characters of a reason repeated": "cut";
            "strangers have a part in it"; a_reason_is_repeated_so_far_and_no_further.
        crate::node::peers::MAX_ROWS, "peers known": "the oldest row goes";
            "more than the network lets connect"; so_many_peers_are_known_and_so_many_suspected_and_no_more.
        crate::node::peers::MAX_SUSPECTS, "peers whose lies are counted": "one of them is forgotten";
            "more than the network lets connect"; so_many_peers_are_known_and_so_many_suspected_and_no_more.
        crate::node::peers::FAULTS, "lies of a peer": "shut out";
            "the first may be a fault in transit"; b13_a_third_lie_is_one_too_many.
        crate::node::courier::SHUT_OUT, "ms a peer that lied is shut out": "let in again";
            "a machine that was mended is not lost"; b13_a_third_lie_is_one_too_many.
        crate::node::courier::MAX_ASKED, "own questions under way": "dropped; the engine asks again";
            "those of the network"; so_many_own_questions_are_under_way_and_one_more_is_dropped.
        crate::node::courier::ATTEMPTS, "peers one question is put to": "the engine asks again";
            "strangers who never answer cost a turn each"; a_question_is_put_to_so_many_peers_and_no_more.
        crate::node::courier::MAX_READS, "questions of others that read the disk at once": "waits for its turn";
            "consensus needs the disk too"; so_much_blocks_at_once_and_one_more_waits_for_its_turn.
        crate::node::courier::ANSWER_PATIENCE, "ms the consensus thread may take to answer a peer": "no answer";
            "below the question's own time"; the_consensus_thread_answers_a_peer_in_time_or_not_at_all.
        crate::node::driver::JOB_QUEUE, "jobs waiting for the consensus thread": "ignored, or unanswered";
            "a burst of a large set's votes"; a_full_queue_of_the_consensus_thread_ignores_gossip_and_leaves_questions_unanswered.
        crate::node::hearing::MAX_HELD, "messages kept back after a restart": "dropped; others ask for it";
            "more than a height makes while others are heard"; unreachable("a validator says three things a round").
        crate::node::OUTGOING_QUEUE, "messages on their way to the network": "the sender waits";
            "back pressure within the peer"; unreachable("a bounded channel: its sender waits").
        crate::node::archive::MAX_RANGE_BYTES, "bytes of blocks in an answer": "the answer ends";
            "below the cap of answers, with room for the frame"; ranges_are_capped_in_count_and_bytes.
        crate::node::archive::MAX_RECORDS, "outcome records read of an auction": "not read";
            "far above what an auction can leave"; unreachable("an auction leaves at most a sixth of it, which is checked when this is compiled").
        crate::node::archive::Opened::MAX_BYTES, "bytes of a stored opening": "the store is damaged: the peer stops";
            "that of transactions"; rows_above_their_caps_are_refused_unread.
        crate::node::archive::Validators::MAX_BYTES, "bytes of a stored set": "the store is damaged: the peer stops";
            "the largest set"; rows_above_their_caps_are_refused_unread.
        crate::node::archive::Phases::MAX_BYTES, "bytes of a block's stored phases": "the store is damaged: the peer stops";
            "every auction of the state, entering a phase"; rows_above_their_caps_are_refused_unread.
        crate::node::recover::READ_BLOCKS, "blocks read at once on start": "read next";
            "memory"; ranges_are_capped_in_count_and_bytes.
        crate::node::recover::READ_BYTES, "bytes of those": "read next";
            "memory"; ranges_are_capped_in_count_and_bytes.
        crate::node::handle::API_GRACE, "ms for API answers when the peer stops": "cut off";
            "a peer that is told to stop stops"; b22_web_pages_strangers_and_open_doors_are_kept_out.
        crate::store::CACHE_BYTES, "bytes of the store's pages in memory": "read from the disk";
            "the tip and the indexes"; unreachable("the store's own: it evicts before it reads").
        crate::store::lock::OWNER_BYTES, "bytes read of who holds a directory": "not shown";
            "a number, for an error message"; p7_the_second_holder_is_told_who_the_first_is.
    }

    Files "Files people hand over and programs read" {
        crate::documents::MAX_FILE_BYTES, "bytes of a document": "the file is refused";
            "an auction of 1024 tasks is 300 KiB"; a_document_is_so_long_and_no_longer.
        crate::config::MAX_CONFIG_BYTES, "bytes of a configuration": "the file is refused";
            "some kilobytes are written"; a_configuration_is_so_long_and_no_longer.
        crate::keystore::MAX_FILE_BYTES, "bytes of a key file": "the file is refused";
            "some 250 are written"; a_key_file_is_so_long_and_no_longer.
        crate::keystore::passphrase::MAX_BYTES, "bytes of a passphrase": "the file is refused";
            "longer than anybody types"; a_passphrase_is_not_empty_not_endless_and_not_for_others_to_read.
        crate::keystore::passphrase::MAX_MEMORY_KIB, "KiB a key file may ask for": "the file does not open";
            "a file must not exhaust the machine"; a_key_file_may_ask_for_so_much_and_no_more.
        crate::keystore::passphrase::MAX_PASSES, "passes a key file may ask for": "the file does not open";
            "a file must not busy the machine"; a_key_file_may_ask_for_so_much_and_no_more.
        crate::keystore::passphrase::MAX_LANES, "lanes a key file may ask for": "the file does not open";
            "a file must not busy the machine"; a_key_file_may_ask_for_so_much_and_no_more.
        crate::documents::credential::MAX_CREDENTIALS, "credentials of a directory": "the directory is refused";
            "the leaves of an issuer"; a_directory_holds_so_many_credentials_and_with_more_it_is_refused.
        crate::documents::issued::MAX_RECORDS, "an issuer's records looked through": "the directory is refused";
            "more than an issuer may post"; so_many_records_are_looked_through_and_with_more_the_directory_is_refused.
        crate::documents::sealed::MAX_PLAIN_BYTES, "bytes of a credential": "nothing is sealed; the file does not open";
            "a full claim is 4 KiB, the rest is what people write beside it"; sizes_are_bounded_before_anything_is_decrypted.
        crate::documents::sealed::MAX_SEALED_FILE_BYTES, "bytes of a sealed credential": "the file is refused";
            "the largest credential, in hex"; a_home_opens_its_files_and_names_the_one_that_does_not_open.
        crate::documents::prices::MAX_PERCENT, "percent": "the price file is refused";
            "a thousand times the plain price"; a_percentage_is_so_large_and_no_larger.
        tender_auction::certificate::MAX_FILE_BYTES, "bytes of a certificate": "the file is refused";
            "1,000 set changes of a hundred validators"; a_certificate_walks_through_so_many_changes_and_no_more.
        tender_auction::certificate::MAX_SET_CHANGES, "set changes of a certificate": "the certificate is refused";
            "each costs a check of every signature"; a_certificate_walks_through_so_many_changes_and_no_more.
        tender_auction::checkpoint::MAX_HEADERS, "headers up to a checkpoint": "the file is refused";
            "three hours of a block a second"; a_headers_file_holds_so_many_and_no_more.
        tender_auction::checkpoint::MAX_FILE_BYTES, "bytes of a headers file": "the file is refused";
            "10,000 headers of 1.2 KiB"; a_headers_file_holds_so_many_and_no_more.
        crate::agent::prover::MAX_KEY_FILE_BYTES, "bytes of a proving key": "the file is refused";
            "the largest circuit's"; a_proving_key_is_so_long_and_no_longer.
        crate::cli::audit::MAX_BLOCKS_BYTES, "bytes of a file of blocks": "the file is refused";
            "read whole"; a_file_of_blocks_is_so_long_and_no_longer.
        crate::cli::capability::import::MAX_HASHED_BYTES, "bytes of a circuit or transcript": "the file is refused";
            "read piece by piece"; a_file_is_hashed_so_far_and_no_further.
    }

    Agent "Agents and the commands people type" {
        crate::agent::client::TIMEOUT, "ms for an answer of the peer": "the command fails, and says so";
            "an auction of 4096 units takes a busy peer a second"; a_peer_that_does_not_answer_is_waited_for_so_long_and_no_longer.
        crate::agent::client::COMMIT_WITHIN, "ms a transaction waits for its block": "the command or job fails, and says what may still happen";
            "longer than the pool waits before it tells its neighbours again"; a_block_is_waited_for_so_long_and_then_it_is_said_what_may_still_happen.
        crate::agent::client::MAX_ANSWER_BYTES, "bytes of an answer": "the answer is refused";
            "the largest auction with its outcomes"; an_answer_is_so_long_and_no_longer.
        crate::agent::client::AUCTIONS_PER_PAGE, "auctions of a full page": "the next page is asked for";
            "that of the API"; auctions_are_read_page_by_page_so_many_and_no_more.
        crate::agent::client::MAX_AUCTIONS, "auctions read of one peer": "not read";
            "500 bytes each"; auctions_are_read_page_by_page_so_many_and_no_more.
        crate::agent::actor::ATTEMPTS, "signatures of one action": "the command fails with the peer's reason";
            "another of the same signer took its number"; an_action_is_signed_so_often_and_then_the_peers_reason_is_told.
        crate::agent::actor::BATCH, "actions that wait for a block together": "wait for the first";
            "fewer than a pool keeps of one signer"; so_many_actions_wait_for_a_block_together_and_the_next_for_the_first.
        crate::agent::bidding::ATTEMPTS, "proofs of one bid": "the command fails with the peer's reason";
            "the registry's root moved on meanwhile"; a_bid_is_proven_so_often_and_then_the_peers_reason_is_told.
        crate::cli::place::CATCH_UP, "ms a peer may be behind or alone": "the command fails, and says so";
            "a peer that has just started"; peer_not_synced.
        crate::cli::testnet::PORT_ATTEMPTS, "ports tried": "the command fails, and says so";
            "almost all are free"; so_many_ports_are_tried_and_then_it_is_said_that_none_is_free.
        crate::agent::machine::MAX_TEXT, "bytes of a figure of the system": "not seen, and said so";
            "a figure or a name"; a_figure_of_the_system_is_so_long_and_no_longer.
        crate::agent::machine::MAX_ENTRIES, "entries of a directory of the system": "not looked at";
            "devices and interfaces"; a_directory_of_the_system_is_looked_at_so_far_and_no_further.
        crate::agent::machine::gpu::MAX_GPUS, "GPUs of one driver": "not counted";
            "no machine has so many"; so_many_gpus_of_a_driver_are_counted_and_no_more.
        crate::agent::standing::PROOFS_PER_LOOK, "bids made before looking around again": "made in the next look";
            "proving must not keep the agent from accepting"; so_many_bids_are_made_in_a_look_and_the_others_in_the_next.
        crate::agent::standing::MAX_TRIES, "refusals of one bid": "given up, and said so";
            "the chain's reasons seldom change"; a_bid_that_is_refused_is_tried_so_often_and_given_up_then.
        crate::agent::standing::MAX_RUNS, "failures of one command": "left, and said so";
            "a person has to look"; a_runner_up_takes_over_a_lost_peer_is_sat_out_and_a_failing_command_is_left.
        crate::agent::standing::MAX_WAITING, "steps that wait for a block together": "sent in the next look";
            "fewer than a pool keeps of one signer"; so_many_steps_wait_for_a_block_together_and_the_others_for_the_next_look.
        crate::agent::standing::job::MAX_OUTPUT_BYTES, "bytes a command prints": "the command is ended, nothing recorded";
            "larger results are better named by their hash"; a_command_that_prints_without_end_is_ended.
        crate::agent::standing::job::GRACE, "ms for a command to end": "killed";
            "it may have something to put away"; a_command_has_so_long_to_end_and_is_killed_then.
        crate::agent::standing::journal::MAX_BYTES, "bytes of a journal": "the journal is refused";
            "above what the rows below can fill"; a_journal_is_so_long_and_no_longer.
        crate::agent::standing::journal::MAX_ROWS, "rows of a journal": "no new bid is made";
            "what was begun must still fit"; with_so_many_rows_no_new_bid_is_made_and_what_was_begun_still_fits.
        crate::agent::standing::offer::MAX_REASONS, "reasons told of a machine that bids for nothing": "counted, not told";
            "for people"; so_many_reasons_are_told_and_the_others_counted.
    }
}

#[cfg(test)]
mod tests {
    use crate::node::{
        Opened,
        archive::{Phases, Validators},
        status::StatusMessage,
    };
    use tender_wire::{CodecError, Wire, decode};

    fn is_capped<T: Wire>() {
        let long = |len: usize| {
            matches!(
                decode::<T>(&vec![0xff; len]),
                Err(CodecError::TooLong { .. })
            )
        };
        assert!(!long(T::MAX_BYTES) && long(T::MAX_BYTES + 1), "{}", T::NAME);
    }

    #[test]
    fn rows_above_their_caps_are_refused_unread() {
        is_capped::<StatusMessage>();
        is_capped::<Opened>();
        is_capped::<Validators>();
        is_capped::<Phases>();
    }
}

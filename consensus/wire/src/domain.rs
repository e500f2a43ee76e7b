//! The table of domain tags: one per kind of thing that is hashed or signed.
//!
//! Invariant: no two kinds share a tag, so bytes hashed or signed as one kind can never be presented as another
//! (THREATS T30, B11). A tag is 32 bytes: ASCII, padded with zeros.

/// Declares the table once: variants, their strings, and the list of all of them.
macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Domain-separation tag of a hash or signature.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Tag { $($(#[$doc])* $name,)* }

        impl Tag {
            /// Every tag, in table order.
            pub const ALL: &'static [Tag] = &[$(Tag::$name,)*];

            /// The tag's text.
            pub const fn text(self) -> &'static str {
                match self { $(Tag::$name => $text,)* }
            }
        }
    };
}

tags! {
    /// Genesis document: the chain id.
    Genesis = "tender/1/genesis",
    /// Full canonical bytes of a transaction: `tx_hash`.
    Tx = "tender/1/tx",
    /// A bid without proofs and signature: `bid_id`.
    Bid = "tender/1/bid",
    /// Ciphertext of a sealed bid, as bound into `ctx`.
    Ciphertext = "tender/1/ciphertext",
    /// `auction_id`.
    Auction = "tender/1/auction",
    /// Capability type record: its id.
    CapabilityType = "tender/1/capability-type",
    /// `type_tag` of a credential leaf: H31(name, version).
    TypeTag = "tender/1/type-tag",
    /// `holder` public input: H31 of the agent's key.
    Holder = "tender/1/holder",
    /// `ctx` public input.
    Context = "tender/1/ctx",
    /// Asset handle: H31 of the device's serial.
    Asset = "tender/1/asset",
    /// First element of a credential commitment's preimage.
    Commitment = "tender/1/commitment",
    /// First element of a credential leaf's preimage.
    Leaf = "tender/1/leaf",
    /// Constraint system of a circuit: `r1cs_hash`.
    R1cs = "tender/1/r1cs",
    /// Value of an `equals` claim field.
    EqualsField = "tender/1/equals-field",
    /// Signature: a bid by its bidder.
    SignBid = "tender/1/sign/bid",
    /// Signature: a seal key by its committee member.
    SignSealKey = "tender/1/sign/seal-key",
    /// Signature: an action by its signer.
    SignTx = "tender/1/sign/tx",
    /// Signature: an attestation by its issuer.
    SignAttestation = "tender/1/sign/attestation",
    /// Signature: a consensus proposal.
    SignProposal = "tender/1/sign/proposal",
    /// Signature: a prevote.
    SignPrevote = "tender/1/sign/prevote",
    /// Signature: a precommit.
    SignPrecommit = "tender/1/sign/precommit",
    /// Signature: binding of a libp2p peer id to a validator key.
    SignPeer = "tender/1/sign/peer",
    /// Block header: the block id.
    Block = "tender/1/block",
    /// Commit certificate, as the next header names it.
    Certificate = "tender/1/certificate",
    /// Committed evidence list.
    Evidence = "tender/1/evidence",
    /// Clearing witnesses of a block.
    Witness = "tender/1/witness",
    /// Validator set.
    Validators = "tender/1/validators",
    /// State root: hash over the tables' roots.
    State = "tender/1/state",
    /// State root in the header: the application's root and what consensus keeps beside it.
    ChainState = "tender/1/chain-state",
    /// Root or entry of one state table.
    Table = "tender/1/table",
    /// Outcome record, as a leaf of the outcome tree.
    Outcome = "tender/1/outcome",
    /// Governance action.
    Action = "tender/1/action",
    /// Verdict-cache key: statement and proof bytes.
    Verdict = "tender/1/verdict",
    /// Seed of the tie-breaking keys of one auction.
    TieSeed = "tender/1/tie-seed",
    /// Per-nonce key of the tie-breaking hash.
    TieKey = "tender/1/tie-key",
    /// Commitment to a task specification file.
    TaskSpec = "tender/1/task-spec",
    /// Seal: key-derivation salt of the one-time committee secret.
    SealKey = "tender/1/seal/key",
    /// Seal: proof-of-knowledge challenge.
    SealPok = "tender/1/seal/pok",
    /// Seal: proof-of-knowledge nonce.
    SealPokNonce = "tender/1/seal/pok-nonce",
    /// Seal: what a sealed bid is bound to (bid, committee, threshold).
    SealContext = "tender/1/seal/context",
    /// Seal: polynomial coefficients.
    SealPoly = "tender/1/seal/poly",
    /// Seal: the ephemeral scalar `r`.
    SealEphemeral = "tender/1/seal/ephemeral",
    /// Seal: mask of one share.
    SealMask = "tender/1/seal/mask",
    /// Seal: mask of the seed under the shared secret.
    SealSeed = "tender/1/seal/seed",
    /// Seal: key of the body's AEAD.
    SealBody = "tender/1/seal/body",
    /// A credential sealed to its holder: what the key schedule is bound to.
    SealCredential = "tender/1/seal/credential",
    /// Merkle leaf.
    MerkleLeaf = "tender/1/merkle/leaf",
    /// Merkle inner node.
    MerkleNode = "tender/1/merkle/node",
    /// Merkle root: the leaf count and the top node.
    MerkleRoot = "tender/1/merkle/root",
    /// Deterministic randomness derived from a 32-byte seed.
    Seed = "tender/1/seed",
    /// One record of the vote write-ahead log.
    Wal = "tender/1/wal",
}

/// Width of a tag in bytes.
pub const TAG_BYTES: usize = 32;

impl Tag {
    /// The tag as hashed: its text, padded with zeros to [`TAG_BYTES`].
    pub const fn bytes(self) -> [u8; TAG_BYTES] {
        let text = self.text().as_bytes();
        let mut out = [0; TAG_BYTES];
        let (head, _) = out.split_at_mut(text.len());
        head.copy_from_slice(text);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Tag;
    use std::collections::BTreeSet;

    #[test]
    fn tags_are_distinct_ascii_and_fit() {
        let mut seen = BTreeSet::new();
        for tag in Tag::ALL {
            assert!(tag.text().is_ascii() && tag.text().len() < super::TAG_BYTES);
            assert!(seen.insert(tag.bytes()), "{} twice", tag.text());
        }
    }
}

//! Encodings, tags, hashes, trees, signatures, and bytes the codec refuses.

use crate::{book::Book, example};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tender_auction::{
    seal::{BidBody, BodyError},
    transaction::{SealRevealTx, Transaction},
};
use tender_circuits::{Attestation, Claim, ClaimSchema, Setup};
use tender_consensus::message::Message;
use tender_wire::{
    ChainId, CodecError, Digest, PublicKey, Signature, SignatureError, Tag, Wire, decode, encode,
    h31, hash, merkle,
};

/// Sections 1 to 5.
pub fn add(book: &mut Book) {
    encodings(book);
    book.bytes("tag_genesis", Tag::Genesis.bytes());
    book.bytes("hash_no_part", hash(Tag::Seed, &[]));
    book.bytes("hash_two_parts", hash(Tag::Seed, &[b"ab", b"c"]));
    book.bytes("h31_two_parts", h31(Tag::Seed, &[b"ab", b"c"]));
    trees(book);
    signatures(book);
}

fn encodings(book: &mut Book) {
    book.value("enc_u8", &0x12u8);
    book.value("enc_u16", &0x1234u16);
    book.value("enc_u32", &0x1234_5678u32);
    book.value("enc_u64", &0x0123_4567_89ab_cdefu64);
    book.value("enc_u128", &5u128);
    book.value("enc_i128", &-2i128);
    book.value("enc_bool", &true);
    book.value("enc_none", &None::<u16>);
    book.value("enc_some", &Some(0x1234u16));
    book.value("enc_string", "abc");
    book.value("enc_list", &vec![1u16, 2]);
    book.value("enc_tuple", &(1u8, 2u16));
    book.value("enc_map", &BTreeMap::from([(1u8, 0x0a0bu16), (2, 0x0c0d)]));
    book.value("enc_set", &BTreeSet::from([3u8, 5]));
    book.value("enc_variant", &Setup::Dev);
    let ceremony = Setup::Ceremony {
        transcript: Digest([1; 32]),
        contributions: 2,
        beacon: Digest([3; 32]),
    };
    book.value("enc_variant_fields", &ceremony);
}

fn trees(book: &mut Book) {
    let leaves: Vec<_> = [b"a", b"b", b"c", b"d", b"e"]
        .map(|d| merkle::leaf(d))
        .to_vec();
    book.bytes("merkle_leaf_a", leaves[0]);
    book.bytes(
        "merkle_node_ab",
        hash(Tag::MerkleNode, &[leaves[0].as_ref(), leaves[1].as_ref()]),
    );
    for count in [0, 1, 2, 3, 5] {
        let root = merkle::root(&leaves[..count]);
        book.bytes(&format!("merkle_root_{count}"), root);
    }
    for index in [2, 4] {
        let proof = merkle::prove(&leaves, index).unwrap();
        assert!(proof.verifies(&leaves[index], &merkle::root(&leaves)));
        book.value(&format!("merkle_proof_{index}_of_5"), &proof);
    }
}

fn signatures(book: &mut Book) {
    let (secret, chain) = (example::key(1), ChainId([9; 32]));
    let signature = secret.sign(Tag::SignTx, &chain, b"message");
    book.bytes("sign_public", secret.public());
    book.bytes(
        "sign_digest",
        hash(Tag::SignTx, &[chain.as_ref(), b"message"]),
    );
    book.bytes("sign_signature", signature);
    let verdict =
        |key: &PublicKey, signature| key.verify(Tag::SignTx, &chain, b"message", &signature);
    assert_eq!(verdict(&secret.public(), signature), Ok(()));

    let malleable = Signature(plus_group_order(signature.0));
    assert_eq!(
        verdict(&secret.public(), malleable),
        Err(SignatureError::BadSignature)
    );
    book.refused("sign_malleable", malleable.0.to_vec());
    let mut identity = PublicKey([0; 32]);
    identity.0[0] = 1;
    assert_eq!(identity.check(), Err(SignatureError::BadKey));
    book.refused("sign_weak_key", identity.0.to_vec());
    // y = 3 is a point of large order; y = 3 + p decodes to the same.
    let mut wide = PublicKey([0xff; 32]);
    (wide.0[0], wide.0[31]) = (0xed + 3, 0x7f);
    let mut narrow = PublicKey([0; 32]);
    narrow.0[0] = 3;
    assert_eq!(narrow.check(), Ok(()));
    assert_eq!(wide.check(), Err(SignatureError::BadKey));
    book.refused("sign_wide_key", wide.0.to_vec());
}

/// The signature with the group's order added to its scalar: the same equation, other bytes.
fn plus_group_order(mut signature: [u8; 64]) -> [u8; 64] {
    const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order = tender_wire::hex::decode(ORDER).unwrap();
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    signature
}

/// A map, to show its canonical order: messages hold none, the state does.
#[derive(Debug, Serialize, Deserialize)]
struct Map(BTreeMap<u8, u16>);

impl Wire for Map {
    const NAME: &'static str = "map";
    const MAX_BYTES: usize = 64;
}

/// Byte strings that are the encoding of nothing.
pub fn refuse(book: &mut Book, attestation: &Attestation) {
    let malformed = |e: &CodecError| matches!(e, CodecError::Malformed { .. });
    let not_canonical = |e: &CodecError| matches!(e, CodecError::NotCanonical { .. });
    let reveal = Transaction::SealReveal(SealRevealTx {
        auction: tender_wire::AuctionId([1; 32]),
        rank: 1,
        reveal: tender_auction::seal::Reveal([2; 32]),
    })
    .to_bytes();
    let with = |byte: u8| [reveal.as_slice(), &[byte]].concat();
    book.refuse::<Transaction>("refuse_trailing", with(0), |e| {
        matches!(e, CodecError::Trailing { .. })
    });
    book.refuse::<Transaction>(
        "refuse_short",
        reveal[..reveal.len() - 1].to_vec(),
        malformed,
    );
    let mut variant = reveal;
    variant[0] = 4;
    book.refuse::<Transaction>("refuse_variant", variant, malformed);

    let schema = ClaimSchema {
        fields: vec![example::schema().fields[0].clone()],
    };
    let mut flag = encode(&schema);
    *flag.last_mut().unwrap() = 2;
    book.refuse::<ClaimSchema>("refuse_bool", flag, malformed);
    let mut text = encode(&schema);
    text[16] = 0xff; // first byte of the field's name
    book.refuse::<ClaimSchema>("refuse_utf8", text, malformed);

    // Variant, height and round; the option byte; its round, block, validator and signature; no block along with it.
    let option = |byte| {
        [
            vec![0; 4 + 8 + 4],
            vec![byte],
            vec![0; 4 + 32 + 32 + 64 + 1],
        ]
        .concat()
    };
    assert!(decode::<Message>(&option(1)).is_ok());
    book.refuse::<Message>("refuse_option", option(2), malformed);
    book.refuse::<Claim>("refuse_count", u64::MAX.to_le_bytes().to_vec(), malformed);
    let mut issuer = encode(attestation);
    issuer[0] = 64;
    book.refuse::<Attestation>("refuse_issuer", issuer, malformed);

    let map = |keys: [u8; 2]| [&2u64.to_le_bytes()[..], &[keys[0], 1, 0, keys[1], 2, 0]].concat();
    assert!(decode::<Map>(&map([1, 2])).is_ok());
    book.refuse::<Map>("refuse_map_order", map([2, 1]), not_canonical);
    book.refuse::<Map>("refuse_map_twice", map([1, 1]), not_canonical);

    let too_long = |e: &CodecError| matches!(e, CodecError::TooLong { .. });
    book.refuse::<Claim>("refuse_long", vec![0; Claim::MAX_BYTES + 1], too_long);
    bodies(book);
}

/// Plaintexts that are no bid body of an auction with `max_entries` = 2.
fn bodies(book: &mut Book) {
    let body = |count: u8, entries: [(u32, u64); 2]| {
        let entries = entries.map(|(t, p)| [&t.to_le_bytes()[..], &p.to_le_bytes()].concat());
        [&[7; 32][..], &[count], &entries.concat()].concat()
    };
    let verdict = |bytes: &[u8]| BidBody::decode(bytes, 2).map(|_| ());
    assert_eq!(verdict(&body(1, [(3, 9), (0, 0)])), Ok(()));
    for (name, bytes, error) in [
        (
            "refuse_body_order",
            body(2, [(3, 9), (3, 9)]),
            BodyError::Order(1),
        ),
        (
            "refuse_body_price",
            body(1, [(3, 0), (0, 0)]),
            BodyError::Price(0),
        ),
        (
            "refuse_body_padding",
            body(1, [(3, 9), (0, 1)]),
            BodyError::Padding,
        ),
        (
            "refuse_body_count",
            body(3, [(3, 9), (4, 9)]),
            BodyError::TooMany { found: 3, max: 2 },
        ),
    ] {
        assert_eq!(verdict(&bytes), Err(error), "{name}");
        book.refused(name, bytes);
    }
}

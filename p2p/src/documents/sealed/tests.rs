//! What seals opens for its holder alone, whole and unchanged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::*;
use crate::documents::credential::{Content, MAX_CREDENTIALS, hand_over, read_all, read_usable};
use tender_circuits::{Attestation, Claim, Credential, FieldValue, IssuerIndex, asset_of};
use tender_wire::{FieldBytes, Signature, TypeId, UnixTime};

const CHAIN: ChainId = ChainId([0x77; 32]);

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed(&mut [byte; 32])
}

fn attributes() -> Claim {
    Claim(vec![FieldValue::Amount(8000), FieldValue::Mask(3)])
}

fn credential(holder: &SecretKey, serial: &str) -> CredentialFile {
    let credential = Credential {
        type_name: "machine".into(),
        version: 1,
        issuer: IssuerIndex::new(0).unwrap(),
        holder: holder.public(),
        asset: asset_of(serial),
        attributes: attributes(),
        expiry: UnixTime(1_800_000_000),
        salt: FieldBytes([0; 32]),
    };
    CredentialFile {
        chain: CHAIN,
        type_id: TypeId([5; 32]),
        issuer: "acme".into(),
        serial: serial.into(),
        about: None,
        content: Content::Credential {
            credential: credential.salted(&[5; 32]),
        },
    }
}

fn attestation(holder: &SecretKey, serial: &str) -> CredentialFile {
    let attestation = Attestation {
        issuer: IssuerIndex::new(0).unwrap(),
        holder: holder.public(),
        asset: asset_of(serial),
        type_id: TypeId([5; 32]),
        claim: attributes(),
        not_before: UnixTime(1),
        not_after: UnixTime(2),
        serial: 7,
        signature: Signature([9; 64]),
    };
    CredentialFile {
        content: Content::Attestation(attestation),
        ..credential(holder, serial)
    }
}

fn json(file: &CredentialFile) -> String {
    serde_json::to_string(file).unwrap()
}

#[test]
fn the_holder_opens_what_was_sealed_and_nothing_of_it_shows() {
    let ann = key(0x31);
    for file in [
        credential(&ann, "rack-7-unit-3"),
        attestation(&ann, "rack-7-unit-3"),
    ] {
        let sealed = SealedFile::seal(&file, &[1; 32]).unwrap();
        assert_eq!(json(&sealed.open(&CHAIN, &ann).unwrap()), json(&file));
        let text = serde_json::to_string(&sealed).unwrap();
        let inside = hex::encode("rack-7");
        for shown in ["rack-7", "acme", "8000", "salt", &inside] {
            assert!(!text.contains(shown), "{shown}");
        }
        // Sealed again, nothing repeats but whom and what chain it is for.
        let again = SealedFile::seal(&file, &[2; 32]).unwrap();
        assert_ne!(again.ephemeral, sealed.ephemeral);
        assert_ne!(again.ciphertext[..64], sealed.ciphertext[..64]);
    }
    // Lengths say little of what is inside.
    let length = |serial: &str| {
        let file = credential(&ann, serial);
        SealedFile::seal(&file, &[1; 32]).unwrap().ciphertext.len()
    };
    assert_eq!(length("a"), length("a-much-longer-serial-number-than-that"));
    assert_eq!(length("a") % (2 * PADDED_TO), 2 * AEAD_TAG_BYTES);
}

#[test]
fn others_and_other_chains_are_told_so() {
    let (ann, bob) = (key(0x31), key(0x32));
    let sealed = SealedFile::seal(&credential(&ann, "box"), &[1; 32]).unwrap();
    let error = sealed.open(&CHAIN, &bob).unwrap_err();
    let (found, expected) = (ann.public(), bob.public());
    assert_eq!(error, OpenError::OtherHolder { found, expected });
    let said = error.to_string();
    assert!(said.contains(&found.to_string()) && said.contains(&expected.to_string()));
    let other = ChainId([0x78; 32]);
    let error = sealed.open(&other, &ann).unwrap_err();
    let (found, expected) = (CHAIN, other);
    assert_eq!(error, OpenError::OtherChain { found, expected });
    // The envelope rewritten to suit the reader does not help: holder and chain are in the key schedule.
    let readdressed = SealedFile {
        holder: bob.public(),
        ..sealed.clone()
    };
    assert_eq!(
        readdressed.open(&CHAIN, &bob).err(),
        Some(OpenError::Refused)
    );
    let moved = SealedFile {
        chain: other,
        ..sealed.clone()
    };
    assert_eq!(moved.open(&other, &ann).err(), Some(OpenError::Refused));
    let unknown = SealedFile {
        format: "tender-sealed-credential/2".into(),
        ..sealed
    };
    assert!(matches!(
        unknown.open(&CHAIN, &ann),
        Err(OpenError::Format(_))
    ));
}

#[test]
fn every_changed_byte_and_every_cut_is_refused() {
    let ann = key(0x31);
    let sealed = SealedFile::seal(&credential(&ann, "box"), &[1; 32]).unwrap();
    let opens = |bytes: &[u8]| {
        let file = serde_json::from_slice::<SealedFile>(bytes);
        file.is_ok_and(|file| file.open(&CHAIN, &ann).is_ok())
    };
    let text = serde_json::to_vec(&sealed).unwrap();
    assert!(opens(&text));
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut flipped = text.clone();
            flipped[at] ^= 1 << bit;
            assert!(!opens(&flipped), "bit {bit} of byte {at}");
        }
        assert!(!opens(&text[..at]), "cut to {at} bytes");
    }
    // The same of the ciphertext alone, inside a whole envelope.
    for end in 0..sealed.ciphertext.len() {
        let cut = SealedFile {
            ciphertext: sealed.ciphertext[..end].into(),
            ..sealed.clone()
        };
        assert!(cut.open(&CHAIN, &ann).is_err(), "cut to {end} digits");
    }
    for more in ["00", "0"] {
        let longer = SealedFile {
            ciphertext: format!("{}{more}", sealed.ciphertext),
            ..sealed.clone()
        };
        assert!(longer.open(&CHAIN, &ann).is_err());
    }
}

#[test]
fn weak_keys_are_refused_on_both_sides() {
    // Points of order 1, 2, 4 and 8, and no point at all.
    for weak in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ] {
        let holder: PublicKey = weak.parse().unwrap();
        let mut file = attestation(&key(0x31), "box");
        if let Content::Attestation(attestation) = &mut file.content {
            attestation.holder = holder;
        }
        let sealed = SealedFile::seal(&file, &[1; 32]);
        assert_eq!(sealed, Err(SealError::BadHolder(holder)));
    }
    // Encapsulated keys of small order lead to a shared secret that anybody knows.
    let ann = key(0x31);
    let sealed = SealedFile::seal(&credential(&ann, "box"), &[1; 32]).unwrap();
    for low in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let weak = SealedFile {
            ephemeral: Ephemeral(low),
            ..sealed.clone()
        };
        assert_eq!(weak.open(&CHAIN, &ann).err(), Some(OpenError::Refused));
    }
}

#[test]
fn sizes_are_bounded_before_anything_is_decrypted() {
    let ann = key(0x31);
    let mut file = credential(&ann, "box");
    let rest = json(&file).len() + r#""about":"","#.len();
    file.about = Some("x".repeat(MAX_PLAIN_BYTES - rest));
    let sealed = SealedFile::seal(&file, &[1; 32]).unwrap();
    assert_eq!(json(&sealed.open(&CHAIN, &ann).unwrap()), json(&file));
    let text = serde_json::to_string_pretty(&sealed).unwrap();
    assert!(text.len() < MAX_SEALED_FILE_BYTES);
    file.about = Some("x".repeat(MAX_PLAIN_BYTES - rest + 1));
    let found = MAX_PLAIN_BYTES + 1;
    let error = SealedFile::seal(&file, &[1; 32]);
    assert_eq!(error, Err(SealError::TooLarge { found }));
    let long = SealedFile {
        ciphertext: format!("{}00", sealed.ciphertext),
        ..sealed
    };
    assert_eq!(long.open(&CHAIN, &ann).err(), Some(OpenError::Ciphertext));
}

#[test]
fn what_strangers_seal_is_looked_at_again_inside() {
    let (ann, bob) = (key(0x31), key(0x32));
    let sealed = |plain: &str, chain| {
        SealedFile::encrypt(plain.as_bytes(), chain, ann.public(), &[1; 32]).unwrap()
    };
    // Anybody can seal anything to ann: bob's credential, one of another chain, or no credential at all.
    let bobs = sealed(&json(&credential(&bob, "box")), CHAIN);
    assert_eq!(bobs.open(&CHAIN, &ann).err(), Some(OpenError::Inside));
    let other = ChainId([0x78; 32]);
    let moved = sealed(&json(&credential(&ann, "box")), other);
    assert_eq!(moved.open(&other, &ann).err(), Some(OpenError::Inside));
    let secret = r#"{ "salt": "do-not-quote-me" "#;
    let error = sealed(secret, CHAIN).open(&CHAIN, &ann).unwrap_err();
    assert!(matches!(error, OpenError::Content { .. }));
    assert!(!error.to_string().contains("quote"), "{error}");
}

#[test]
fn a_home_opens_its_files_and_names_the_one_that_does_not_open() {
    let (ann, bob) = (key(0x31), key(0x32));
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    hand_over(&path("a.json"), &credential(&ann, "a"), &[1; 32]).unwrap();
    hand_over(&path("b.json"), &attestation(&ann, "b"), &[2; 32]).unwrap();
    let read = || read_all(dir.path(), &CHAIN, &ann);
    let serials: Vec<_> = read().unwrap().into_iter().map(|it| it.serial).collect();
    assert_eq!(serials, ["a", "b"]);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("serial") && !text.contains("attributes"));
    }
    hand_over(&path("c.json"), &credential(&bob, "c"), &[3; 32]).unwrap();
    let error = read().unwrap_err().to_string();
    assert!(
        error.contains("c.json") && error.contains(&bob.public().to_string()),
        "{error}"
    );
    assert!(
        error.contains("move the file to its holder's home"),
        "{error}"
    );
    // A credential in plain is refused without a word of it.
    std::fs::write(path("c.json"), json(&credential(&ann, "hush"))).unwrap();
    let error = read().unwrap_err().to_string();
    assert!(
        error.contains("c.json") && !error.contains("hush"),
        "{error}"
    );
    std::fs::write(path("c.json"), "x".repeat(MAX_SEALED_FILE_BYTES + 1)).unwrap();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("larger"), "{error}");
}

/// The layout of `fixtures/FORMATS.md` § 20 does not change by itself, nor with a new version of a library.
#[test]
fn a_directory_holds_so_many_credentials_and_with_more_it_is_refused() {
    let ann = key(0x31);
    let dir = tempfile::tempdir().unwrap();
    for i in 0..MAX_CREDENTIALS {
        std::fs::write(dir.path().join(format!("{i}.json")), "").unwrap();
    }
    std::fs::write(dir.path().join("readme.txt"), "").unwrap();
    let refused = |path: &std::path::Path| {
        let refused = read_all(dir.path(), &CHAIN, &ann).unwrap_err();
        assert_eq!(refused.path, path, "{refused}");
        read_usable(dir.path(), &CHAIN, &ann).1.len()
    };
    // As many as may be are looked at, and these are none.
    assert_eq!(refused(&dir.path().join("0.json")), MAX_CREDENTIALS);
    std::fs::write(dir.path().join("more.json"), "").unwrap();
    assert_eq!(refused(dir.path()), 1);
}

#[test]
fn the_file_of_the_fixtures_opens() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sealed-credential.json");
    let ann = key(0x31);
    let file = credential(&ann, "machine-a");
    let sealed = SealedFile::seal(&file, &[0xa5; 32]).unwrap();
    if std::env::var_os("TENDER_BLESS").is_some() {
        crate::documents::write_json(&path, &sealed, crate::documents::Access::Public).unwrap();
    }
    let kept: SealedFile = crate::documents::read_json(&path).unwrap();
    assert_eq!(json(&kept.open(&CHAIN, &ann).unwrap()), json(&file));
    assert_eq!(kept, sealed);
}

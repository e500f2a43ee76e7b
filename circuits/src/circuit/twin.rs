//! Law: the native twin accepts exactly what satisfies the constraints.

use super::*;
use crate::{
    issuer::{IssuerIndex, IssuerMask},
    schema::FieldValue,
    statement::{Statement, holder_of},
    types::resources::Resources,
};
use proptest::prelude::*;
use std::sync::OnceLock;
use tender_wire::{PublicKey, UnixTime};

/// The honest statement about a credential, whatever it attests.
fn statement(credential: &Credential, path: &MerklePath, claim: Claim) -> Statement {
    Statement {
        registry_root: path.root(&credential.leaf()).unwrap(),
        holder: holder_of(&credential.holder),
        ctx: FieldBytes::from_u64(1),
        asset: credential.asset,
        valid_until: credential.expiry,
        issuers: IssuerMask::default().with(credential.issuer),
        claim,
    }
}

/// Amounts and masks around the edges, where a rule changes its mind.
fn values() -> impl Strategy<Value = Claim> {
    let amount = prop_oneof![Just(0), Just(1), Just(1000), Just(u32::MAX), any::<u32>()];
    let mask = prop_oneof![4 => 0u64..4, 1 => Just(u64::MAX), 1 => any::<u64>()];
    (
        prop::collection::vec(amount, 6),
        prop::collection::vec(mask, 3),
    )
        .prop_map(|(amounts, masks)| {
            let amounts = amounts.into_iter().map(FieldValue::Amount);
            Claim(
                amounts
                    .chain(masks.into_iter().map(FieldValue::Mask))
                    .collect(),
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn native_twin_equals_constraints(
        attributes in values(),
        other in values(),
        changed in prop::collection::vec(any::<bool>(), 9),
        issuer in 0u8..64,
        index in 0u32..crate::registry::CAPACITY,
        expiry in any::<u64>(),
    ) {
        static SHAPE: OnceLock<Shape> = OnceLock::new();
        let shape = SHAPE.get_or_init(|| super::shape(&Resources));
        // Mostly the attested values themselves, some fields replaced: true and false claims in turn.
        let claim = Claim((0..9).map(|i| if changed[i] && i % 3 == (index as usize) % 3 { other.0[i] } else { attributes.0[i] }).collect());
        let credential = Credential {
            type_name: "resources".into(),
            version: 1,
            issuer: IssuerIndex::new(issuer).unwrap(),
            holder: PublicKey([1; 32]),
            asset: crate::asset_of("m"),
            attributes,
            expiry: UnixTime(expiry),
            salt: FieldBytes::from_u64(expiry),
        };
        let siblings = (0..DEPTH as u64).map(FieldBytes::from_u64).collect();
        let path = MerklePath { index, siblings };
        let statement = statement(&credential, &path, claim);
        let native = Resources.check(&credential.attributes, &statement.claim);
        let (z, factors) = assignment(&Resources, &statement.public_inputs(), &Witness::new(&credential, &path), shape);
        // What rows come to is known from making the values; it is what the matrices say.
        prop_assert_eq!(factors.violated, shape.violated(&z).next());
        prop_assert!(shape.factors(&z) == (factors.a.clone(), factors.b.clone()));
        let violated = shape.unsatisfied(&z).map(|c| c.scope);
        prop_assert_eq!(native.is_ok(), violated.is_none(), "{:?} / {:?}", native, violated);
        if let (Err(native), Some(violated)) = (native, violated) {
            prop_assert!(violated.starts_with(&native.field), "{} / {}", native, violated);
        }
    }
}

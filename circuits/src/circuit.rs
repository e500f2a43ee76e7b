//! The circuit every capability type shares, around its own part.
//!
//! ```text
//!  public   registry_root   holder  asset   issuers   valid_until   claim…        ctx
//!                 ▲            │      │        │           │           │           │
//!  path ─▶ Merkle root ◀─ leaf ┼──────┴─ issuer ∈      expiry ≥    supported by  squared
//!                           ▲  │
//!                     commitment ◀────── attributes_hash ◀───────── attributes
//! ```
//!
//! 1. `leaf = Poseidon(H31(Leaf), issuer, asset, commitment)` with
//!    `commitment = Poseidon(H31(Commitment), type_tag, holder, attributes_hash, expiry, salt)` lies under `registry_root`;
//! 2. the bit of `issuer` is set in `issuers`;
//! 3. `expiry − valid_until` has 64 bits (both below 2^64, so it did not wrap);
//! 4. every attribute is range-checked before it is packed (a limb must not borrow from its neighbour, THREATS T7);
//! 5. the type's own constraints hold between attributes and claim;
//! 6. `ctx` is multiplied once: an input without a constraint could be altered in a proof.
//!
//! `holder` and `asset` need no comparison: the public inputs themselves are hashed. Claimed amounts need no range check: a verifier recomputes
//! them from `u32`. Invariant: constraints depend on the type alone.

use crate::{
    capability::{Capability, Value},
    credential::{Credential, commitment_domain, leaf_domain},
    field::{to_fr, to_fr_reduced},
    gadgets::{mask, merkle, range},
    packing::{AMOUNT_BITS, MASK_BITS, pack_constrained},
    poseidon,
    r1cs::{Assignment, Builder, Factors, Num, Shape},
    registry::{DEPTH, MerklePath, side},
    schema::{Claim, ClaimSchema, Rule},
    statement::{PREFIX_INPUTS, type_tag},
};
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use tender_wire::FieldBytes;
use zeroize::Zeroize;

/// Bits of an issuer index.
const ISSUER_BITS: u32 = 6;
/// Bits of unix seconds.
const TIME_BITS: u32 = 64;

/// The private part, as field elements. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct Witness {
    pub(crate) issuer: Fr,
    pub(crate) attributes: Vec<Fr>,
    pub(crate) expiry: Fr,
    pub(crate) salt: Fr,
    /// (sibling, side) from the leaf upwards.
    pub(crate) path: Vec<(Fr, Fr)>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.issuer.zeroize();
        self.attributes.zeroize();
        self.expiry.zeroize();
        self.salt.zeroize();
        self.path.zeroize();
    }
}

impl Witness {
    pub(crate) fn new(credential: &Credential, path: &MerklePath) -> Witness {
        let level = |(level, sibling)| {
            let side = Fr::from(side(path.index, level));
            (to_fr_reduced(sibling), side)
        };
        Witness {
            issuer: Fr::from(credential.issuer.value()),
            attributes: credential
                .attributes
                .public_inputs()
                .map(|a| to_fr_reduced(&a))
                .collect(),
            expiry: Fr::from(credential.expiry.0),
            salt: to_fr_reduced(&credential.salt),
            path: path.siblings.iter().enumerate().map(level).collect(),
        }
    }

    fn blank(attributes: usize) -> Witness {
        Witness {
            issuer: Fr::ZERO,
            attributes: vec![Fr::ZERO; attributes],
            expiry: Fr::ZERO,
            salt: Fr::ZERO,
            path: vec![(Fr::ZERO, Fr::ZERO); DEPTH],
        }
    }
}

/// The constraints of a capability type.
pub(crate) fn shape(capability: &dyn Capability) -> Shape {
    let inputs = PREFIX_INPUTS.saturating_add(capability.schema().fields.len());
    let witness = Witness::blank(capability.attributes().fields.len());
    let mut b = Builder::recording();
    synthesise(
        capability,
        &vec![FieldBytes([0; 32]); inputs],
        &witness,
        &mut b,
    );
    b.finish().0
}

/// The values of the variables and rows of the circuit, of which there should be as many as `shape` has.
pub(crate) fn assignment(
    capability: &dyn Capability,
    inputs: &[FieldBytes],
    witness: &Witness,
    shape: &Shape,
) -> (Assignment, Factors) {
    let mut b = Builder::valuing(shape.variables, shape.constraints());
    synthesise(capability, inputs, witness, &mut b);
    b.values()
}

/// Writes the constraints and computes the values. Inputs and witness must have the type's lengths; inputs that are not
/// canonical count as zero (the prover and the verifier check them).
pub(crate) fn synthesise(
    capability: &dyn Capability,
    inputs: &[FieldBytes],
    witness: &Witness,
    b: &mut Builder,
) {
    let inputs: Vec<Num> = inputs
        .iter()
        .map(|i| b.input(to_fr(i).unwrap_or_default()))
        .collect();
    let [root, holder, ctx, asset, valid_until, issuers, claim @ ..] = inputs.as_slice() else {
        return;
    };
    b.scope("ctx", |b| b.product(ctx, ctx));
    let claim = values(b, &capability.schema(), claim, Side::Claimed);

    let issuer = b.witness(witness.issuer);
    b.scope("issuer", |b| accepted(b, &issuer, issuers));

    let expiry = b.witness(witness.expiry);
    b.scope("expiry/not before valid_until", |b| {
        range::bits(b, &expiry.minus(valid_until), TIME_BITS);
    });

    let attributes: Vec<Num> = witness.attributes.iter().map(|a| b.witness(*a)).collect();
    let attributes = values(b, &capability.attributes(), &attributes, Side::Attested);

    let tag = type_tag(capability.name(), capability.version());
    let salt = b.witness(witness.salt);
    b.scope("registry", |b| {
        let packed = pack_constrained(&attributes);
        let attributes_hash = poseidon::hash_list_constrained(b, &packed);
        let commitment = poseidon::hash_constrained(
            b,
            [
                &Num::constant(to_fr_reduced(&commitment_domain())),
                &Num::constant(to_fr_reduced(&tag)),
                holder,
                &attributes_hash,
                &expiry,
                &salt,
            ],
        );
        let domain = Num::constant(to_fr_reduced(&leaf_domain()));
        let leaf = poseidon::hash_constrained(b, [&domain, &issuer, asset, &commitment]);
        let found = merkle::root(b, &leaf, &witness.path);
        b.scope("leaf lies under registry_root", |b| {
            b.enforce_equal(&found, root);
        });
    });
    capability.constrain(b, &attributes, &claim);
}

/// The type's own part alone, over range-checked attributes and a claim: rows, values, and where the rows of
/// [`Capability::constrain`] begin. What [`crate::testing`] looks at.
pub(crate) fn own_part(
    capability: &dyn Capability,
    attributes: &Claim,
    claim: &Claim,
) -> (Shape, Assignment, usize) {
    let mut b = Builder::recording();
    let elements = |claim: &Claim| -> Vec<Fr> {
        let inputs = claim.public_inputs();
        inputs.map(|i| to_fr(&i).unwrap_or_default()).collect()
    };
    let claim: Vec<Num> = elements(claim).iter().map(|c| b.input(*c)).collect();
    let attributes: Vec<Num> = elements(attributes).iter().map(|a| b.witness(*a)).collect();
    let claim = values(&mut b, &capability.schema(), &claim, Side::Claimed);
    let attributes = values(
        &mut b,
        &capability.attributes(),
        &attributes,
        Side::Attested,
    );
    let from = b.rows();
    capability.constrain(&mut b, &attributes, &claim);
    let (shape, z) = b.finish();
    (shape, z, from)
}

/// Constrains the bit of `issuer` to be set in `issuers`.
fn accepted(b: &mut Builder, issuer: &Num, issuers: &Num) {
    let mask = b.scope("issuers has 64 bits", |b| {
        range::bits(b, issuers, MASK_BITS)
    });
    let index = b.scope("index has 6 bits", |b| range::bits(b, issuer, ISSUER_BITS));
    b.scope("is one of issuers", |b| {
        let bit = mask::lookup(b, &mask, &index);
        b.enforce_equal(&bit, &Num::from_u64(1));
    });
}

#[derive(Clone, Copy)]
enum Side {
    Claimed,
    Attested,
}

/// Gives numbers their kinds. Masks are split into bits; attested amounts are range-checked.
fn values(b: &mut Builder, schema: &ClaimSchema, nums: &[Num], side: Side) -> Vec<Value> {
    let fields = schema.fields.iter().zip(nums);
    fields
        .map(|(field, num)| {
            b.scope(&field.name, |b| match (field.rule, side) {
                (Rule::Equals, _) => Value::Exact(num.clone()),
                (Rule::AtLeast { .. }, Side::Claimed) => Value::Amount(num.clone()),
                (Rule::AtLeast { .. }, Side::Attested) => {
                    b.scope("attested has 32 bits", |b| range::bits(b, num, AMOUNT_BITS));
                    Value::Amount(num.clone())
                }
                (Rule::HasAll | Rule::Within, Side::Claimed) => {
                    Value::Mask(b.scope("claimed has 64 bits", |b| range::bits(b, num, MASK_BITS)))
                }
                (Rule::HasAll | Rule::Within, Side::Attested) => {
                    Value::Mask(b.scope("attested has 64 bits", |b| range::bits(b, num, MASK_BITS)))
                }
            })
        })
        .collect()
}

#[cfg(test)]
mod deletions;
#[cfg(test)]
mod twin;

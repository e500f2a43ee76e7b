//! The ways to change one proof.

use crate::stock::{
    Case, Honest, SYNTHETIC, Stock,
    Truth::{self, Either, Fails, Holds},
    field_bytes, g1, stray, turned,
};
use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine, g1::Config, g2};
use ark_ec::{
    AffineRepr, CurveGroup, scalar_mul::glv::GLVConfig, short_weierstrass::SWCurveConfig,
};
use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField, UniformRand};
use num_bigint::BigUint;
use rand::{Rng, RngCore, seq::SliceRandom};
use rand_chacha::ChaCha20Rng;
use tender_wire::FieldBytes;

/// What a mutation needs of the key.
#[derive(Clone, Copy)]
pub enum Needs {
    Nothing,
    /// So many inputs.
    Inputs(usize),
    /// Its logarithms, and so many inputs.
    Trapdoor(usize),
}
use Needs::{Inputs, Nothing};

/// A way to change proofs of a key, or one.
pub struct Way<T> {
    pub name: &'static str,
    pub truth: Truth,
    pub needs: Needs,
    pub make: fn(&Stock, &Honest, &mut ChaCha20Rng) -> T,
}

pub const fn way<T>(
    name: &'static str,
    truth: Truth,
    needs: Needs,
    make: fn(&Stock, &Honest, &mut ChaCha20Rng) -> T,
) -> Way<T> {
    Way {
        name,
        truth,
        needs,
        make,
    }
}

/// Where the parts of a proof's bytes end: the bytes with flags, but for the first half of B.
pub const ENDS: [usize; 4] = [31, 63, 95, 127];

pub const KINDS: &[Way<Case>] = &[
    way("bytes: a bit flipped", Fails, Nothing, |_, honest, rng| {
        honest.bytes(|bytes| bytes[rng.gen_range(0..128)] ^= 1 << rng.gen_range(0..8))
    }),
    way("bytes: a flag flipped", Fails, Nothing, |_, honest, rng| {
        honest.bytes(|bytes| bytes[ENDS[rng.gen_range(0..4)]] ^= 0x40 << rng.gen_range(0..2))
    }),
    way("bytes: some random", Fails, Nothing, |_, honest, rng| {
        honest.bytes(|bytes| {
            let first = rng.gen_range(0..128);
            let end = rng.gen_range(first..128) + 1;
            bytes[first] ^= 0x10;
            rng.fill_bytes(&mut bytes[first + 1..end]);
        })
    }),
    way("bytes: all random", Fails, Nothing, |_, honest, rng| {
        honest.bytes(|bytes| rng.fill_bytes(bytes))
    }),
    way(
        "bytes: A and C exchanged",
        Fails,
        Nothing,
        |_, honest, _| honest.points(|proof| std::mem::swap(&mut proof.a, &mut proof.c)),
    ),
    way(
        "bytes: B's halves exchanged",
        Fails,
        Nothing,
        |_, honest, _| {
            honest.bytes(|bytes| {
                let (left, right) = bytes[32..96].split_at_mut(32);
                left.swap_with_slice(right);
            })
        },
    ),
    way(
        "bytes: a coordinate plus p",
        Fails,
        Nothing,
        |_, honest, rng| {
            honest.bytes(|bytes| {
                let part = rng.gen_range(0..4);
                let end = ENDS[part] + 1;
                let p = Fq::MODULUS.to_bytes_le();
                // Without flags there is room for more than one.
                for _ in 0..if part == 1 { rng.gen_range(1..5) } else { 1 } {
                    let mut carry = 0;
                    for (byte, p) in bytes[end - 32..end].iter_mut().zip(&p) {
                        let sum = u16::from(*byte) + u16::from(*p) + carry;
                        (*byte, carry) = (sum as u8, sum >> 8);
                    }
                }
            })
        },
    ),
    way(
        "bytes: a coordinate next to p",
        Either,
        Nothing,
        |_, honest, rng| {
            honest.bytes(|bytes| {
                let end = ENDS[rng.gen_range(0..4)] + 1;
                let mut near = Fq::MODULUS;
                match rng.gen_range(0..4) {
                    0 => near.0[0] -= 1,
                    1 => near.0[0] += 1,
                    2 => near = Fq::ZERO.into_bigint(),
                    _ => {}
                }
                bytes[end - 32..end].copy_from_slice(&near.to_bytes_le());
            })
        },
    ),
    way("another proof's A", Fails, Nothing, |stock, honest, rng| {
        let other = stock.another(honest, rng).proof.a;
        honest.points(|proof| proof.a = other)
    }),
    way("another proof's B", Fails, Nothing, |stock, honest, rng| {
        let other = stock.another(honest, rng).proof.b;
        honest.points(|proof| proof.b = other)
    }),
    way("another proof's C", Fails, Nothing, |stock, honest, rng| {
        let other = stock.another(honest, rng).proof.c;
        honest.points(|proof| proof.c = other)
    }),
    way("another proof", Either, Nothing, |stock, honest, rng| {
        let other = stock.another(honest, rng).proof.clone();
        honest.points(|proof| *proof = other)
    }),
    way(
        "another key's proof",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let key = (honest.key + rng.gen_range(1..=SYNTHETIC.len())) % (SYNTHETIC.len() + 1);
            let other = stock.pick(&[key], rng).proof.clone();
            honest.points(|proof| *proof = other)
        },
    ),
    way("key: another", Fails, Nothing, |stock, honest, rng| {
        let key = (honest.key + rng.gen_range(1..=SYNTHETIC.len())) % (SYNTHETIC.len() + 1);
        let inputs = stock.keys[key].key.inputs();
        let mut case = Case {
            key,
            ..honest.case()
        };
        if rng.r#gen() {
            case.inputs.resize(inputs, FieldBytes::from_u64(1));
        }
        case
    }),
    way(
        "key: the same, parsed again",
        Holds,
        Nothing,
        |stock, honest, _| Case {
            key: honest.key + stock.keys.len() / 2,
            ..honest.case()
        },
    ),
    way("inputs: one random", Fails, Inputs(1), |_, honest, rng| {
        honest.inputs(|inputs| *inputs.choose_mut(rng).unwrap() = field_bytes(&Fr::rand(rng)))
    }),
    way(
        "inputs: one next to what it was",
        Fails,
        Inputs(1),
        |_, honest, rng| {
            let at = rng.gen_range(0..honest.inputs.len());
            let by = if rng.r#gen() { Fr::ONE } else { -Fr::ONE };
            honest.inputs(|inputs| inputs[at] = field_bytes(&(honest.inputs[at] + by)))
        },
    ),
    way(
        "inputs: a bit flipped",
        Fails,
        Inputs(1),
        |_, honest, rng| {
            let bit = rng.gen_range(0..256);
            honest.inputs(|inputs| inputs.choose_mut(rng).unwrap().0[bit / 8] ^= 1 << (bit % 8))
        },
    ),
    way(
        "inputs: one of the least and the greatest",
        Either,
        Inputs(1),
        |_, honest, rng| {
            let extreme = [Fr::ZERO, Fr::ONE, -Fr::ONE][rng.gen_range(0..3)];
            honest.inputs(|inputs| *inputs.choose_mut(rng).unwrap() = field_bytes(&extreme))
        },
    ),
    way(
        "inputs: two exchanged",
        Either,
        Inputs(2),
        |_, honest, rng| {
            let (i, j) = (
                rng.gen_range(0..honest.inputs.len()),
                rng.gen_range(0..honest.inputs.len()),
            );
            honest.inputs(|inputs| inputs.swap(i, j))
        },
    ),
    way(
        "inputs: plus a multiple of r",
        Fails,
        Inputs(1),
        |_, honest, rng| {
            honest.inputs(|inputs| {
                let input = inputs.choose_mut(rng).unwrap();
                let r = BigUint::from_bytes_be(&Fr::MODULUS.to_bytes_be());
                let mut sum = BigUint::from_bytes_be(&input.0) + &r;
                for _ in 0..rng.gen_range(0..4) {
                    let more = &sum + &r;
                    if more.bits() <= 256 {
                        sum = more;
                    }
                }
                let bytes = sum.to_bytes_be();
                input.0[..].fill(0);
                input.0[32 - bytes.len()..].copy_from_slice(&bytes);
            })
        },
    ),
    way(
        "inputs: r or all ones",
        Fails,
        Inputs(1),
        |_, honest, rng| {
            let bytes = if rng.r#gen() {
                Fr::MODULUS.to_bytes_be().try_into().unwrap()
            } else {
                [0xff; 32]
            };
            honest.inputs(|inputs| *inputs.choose_mut(rng).unwrap() = FieldBytes(bytes))
        },
    ),
    way("inputs: one missing", Fails, Inputs(1), |_, honest, rng| {
        let at = rng.gen_range(0..honest.inputs.len());
        honest.inputs(|inputs| {
            inputs.remove(at);
        })
    }),
    way("inputs: too many", Fails, Nothing, |_, honest, rng| {
        let extra = FieldBytes::from_u64(rng.gen_range(0..2));
        honest.inputs(|inputs| inputs.insert(rng.gen_range(0..=inputs.len()), extra))
    }),
    way("identity", Fails, Nothing, |_, honest, rng| {
        honest.points(|proof| match rng.gen_range(0..5) {
            0 => proof.a = G1Affine::identity(),
            1 => proof.b = G2Affine::identity(),
            2 => proof.c = G1Affine::identity(),
            3 => (proof.a, proof.c) = (G1Affine::identity(), G1Affine::identity()),
            _ => (proof.a, proof.b) = (G1Affine::identity(), G2Affine::identity()),
        })
    }),
    way(
        "identity: with junk or a sign",
        Fails,
        Nothing,
        |_, honest, rng| {
            honest.bytes(|bytes| {
                let (first, last) = [(0, 31), (32, 95), (96, 127)][rng.gen_range(0..3)];
                if rng.r#gen() {
                    bytes[first..=last].fill(0);
                    bytes[first] = rng.gen_range(0..2);
                }
                bytes[last] |= 0x40;
                if rng.r#gen() {
                    bytes[last] ^= 0x80;
                }
            })
        },
    ),
    way(
        "identity: beside a point outside G2",
        Fails,
        Nothing,
        |stock, honest, rng| {
            honest.points(|proof| {
                proof.b = stock.outside(rng);
                proof.a = G1Affine::identity();
            })
        },
    ),
    way("off the curve", Fails, Nothing, |_, honest, rng| {
        let x = loop {
            let x = Fq::rand(rng);
            if G1Affine::get_point_from_x_unchecked(x, false).is_none() {
                break x;
            }
        };
        let twisted = loop {
            let x = Fq2::rand(rng);
            if G2Affine::get_point_from_x_unchecked(x, false).is_none() {
                break x;
            }
        };
        honest.points(|proof| match rng.gen_range(0..3) {
            0 => proof.a.x = x,
            1 => proof.b.x = twisted,
            _ => proof.c.x = x,
        })
    }),
    way(
        "off the curve: B's right side in the base field",
        Fails,
        Nothing,
        |_, honest, rng| {
            let x = real_right_side(rng);
            honest.points(|proof| proof.b.x = x)
        },
    ),
    way("outside G2: random", Fails, Nothing, |_, honest, rng| {
        let point = stray(rng);
        honest.points(|proof| proof.b = point)
    }),
    way(
        "outside G2: B plus such a point",
        Fails,
        Nothing,
        |_, honest, rng| {
            let point = stray(rng);
            honest.points(|proof| proof.b = (proof.b + point).into_affine())
        },
    ),
    way(
        "outside G2: of small order",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let times = rng.gen_range(1..10_069_u64);
            let point = stock.small(rng).mul_bigint([times]).into_affine();
            honest.points(|proof| proof.b = point)
        },
    ),
    way(
        "outside G2: of order 10069",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let times = rng.gen_range(1..10_069_u64);
            let point = stock.small[0].mul_bigint([times]).into_affine();
            honest.points(|proof| proof.b = point)
        },
    ),
    way(
        "outside G2: B plus one of small order",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let times = rng.gen_range(1..10_069_u64);
            let point = stock.small(rng).mul_bigint([times]);
            honest.points(|proof| proof.b = (point + proof.b).into_affine())
        },
    ),
    way(
        "outside G2: B plus one of order 10069",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let times = rng.gen_range(1..10_069_u64);
            let point = stock.small[0].mul_bigint([times]);
            honest.points(|proof| proof.b = (point + proof.b).into_affine())
        },
    ),
    way("A, B or C negated", Fails, Nothing, |_, honest, rng| {
        honest.points(|proof| match rng.gen_range(0..3) {
            0 => proof.a = -proof.a,
            1 => proof.b = -proof.b,
            _ => proof.c = -proof.c,
        })
    }),
    way("A and B negated", Holds, Nothing, |_, honest, _| {
        honest.points(|proof| (proof.a, proof.b) = (-proof.a, -proof.b))
    }),
    way("A or B multiplied", Fails, Nothing, |_, honest, rng| {
        let by = Fr::from(rng.gen_range(2..6_u64));
        honest.points(|proof| {
            if rng.r#gen() {
                proof.a = (proof.a * by).into_affine();
            } else {
                proof.b = (proof.b * by).into_affine();
            }
        })
    }),
    way(
        "A multiplied, B divided",
        Holds,
        Nothing,
        |_, honest, rng| {
            let by = Fr::from(rng.gen_range(2..6_u64));
            honest.points(|proof| {
                proof.a = (proof.a * by).into_affine();
                proof.b = (proof.b * by.inverse().unwrap()).into_affine();
            })
        },
    ),
    way(
        "A or C turned by the endomorphism",
        Fails,
        Nothing,
        |_, honest, rng| {
            honest.points(|proof| {
                let point = if rng.r#gen() {
                    &mut proof.a
                } else {
                    &mut proof.c
                };
                *point = turned(*point);
            })
        },
    ),
    way("A turned, B turned back", Holds, Nothing, |_, honest, _| {
        let back = Config::LAMBDA.inverse().unwrap();
        honest.points(|proof| {
            proof.a = turned(proof.a);
            proof.b = (proof.b * back).into_affine();
        })
    }),
    way("randomised again", Holds, Nothing, |stock, honest, rng| {
        honest.rerandomised(stock.key(honest), rng).case()
    }),
    way(
        "C moved by a generator, or anywhere",
        Fails,
        Nothing,
        |_, honest, rng| {
            let by = if rng.r#gen() { Fr::ONE } else { Fr::rand(rng) };
            honest.points(|proof| proof.c = (proof.c + g1(by)).into_affine())
        },
    ),
    way(
        "C moved by a point of the key",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let key = stock.key(honest);
            let by = if rng.r#gen() {
                key.alpha
            } else {
                key.abc[rng.gen_range(0..key.abc.len())]
            };
            honest.points(|proof| proof.c = (proof.c + by).into_affine())
        },
    ),
    way(
        "all three points of the key",
        Fails,
        Nothing,
        |stock, honest, rng| {
            let key = stock.key(honest);
            honest.points(|proof| {
                proof.a = key.alpha;
                proof.b = key.g2[rng.gen_range(0..3)];
                proof.c = key.abc[rng.gen_range(0..key.abc.len())];
            })
        },
    ),
    way(
        "made: inputs whose points add up to nothing",
        Holds,
        Needs::Trapdoor(1),
        |stock, honest, rng| {
            let key = stock.key(honest);
            let mut inputs: Vec<Fr> = honest.inputs.iter().map(|_| Fr::rand(rng)).collect();
            let last = inputs.len() - 1;
            inputs[last] = Fr::ZERO;
            let rest = key.trapdoor().l(&inputs);
            inputs[last] = -rest / key.trapdoor().abc[last + 1];
            key.made(honest.key, inputs, Fr::rand(rng), Fr::rand(rng))
                .case()
        },
    ),
    way(
        "made: inputs of zeros, ones and greatest",
        Holds,
        Needs::Trapdoor(1),
        |stock, honest, rng| {
            let extremes = [Fr::ZERO, Fr::ONE, -Fr::ONE];
            let inputs = honest
                .inputs
                .iter()
                .map(|_| extremes[rng.gen_range(0..3)])
                .collect();
            stock
                .key(honest)
                .made(honest.key, inputs, Fr::rand(rng), Fr::rand(rng))
                .case()
        },
    ),
    way(
        "made: generators for A and B",
        Holds,
        Needs::Trapdoor(0),
        |stock, honest, rng| {
            let sign = if rng.r#gen() { Fr::ONE } else { -Fr::ONE };
            stock
                .key(honest)
                .made(honest.key, honest.inputs.clone(), sign, Fr::ONE)
                .case()
        },
    ),
    way(
        "made: alpha for A, beta for B",
        Holds,
        Needs::Trapdoor(0),
        |stock, honest, _| {
            let key = stock.key(honest);
            let (alpha, beta) = (key.trapdoor().alpha, key.trapdoor().g2[0]);
            key.made(honest.key, honest.inputs.clone(), alpha, beta)
                .case()
        },
    ),
    way(
        "made: B of the key, or its opposite",
        Holds,
        Needs::Trapdoor(0),
        |stock, honest, rng| {
            let key = stock.key(honest);
            let sign = if rng.r#gen() { Fr::ONE } else { -Fr::ONE };
            let b = sign * key.trapdoor().g2[rng.gen_range(0..3)];
            key.made(honest.key, honest.inputs.clone(), Fr::rand(rng), b)
                .case()
        },
    ),
    way(
        "made: C of the key, or its opposite",
        Holds,
        Needs::Trapdoor(0),
        |stock, honest, rng| {
            let key = stock.key(honest);
            let sign = if rng.r#gen() { Fr::ONE } else { -Fr::ONE };
            let c = *key.trapdoor().abc.choose(rng).unwrap() * sign;
            key.made_for_c(honest.key, honest.inputs.clone(), Fr::rand(rng), c)
                .case()
        },
    ),
    way(
        "made: A and C equal, or opposite",
        Holds,
        Needs::Trapdoor(0),
        |stock, honest, rng| {
            let key = stock.key(honest);
            let (b, sign) = (Fr::rand(rng), if rng.r#gen() { Fr::ONE } else { -Fr::ONE });
            // a b = fixed + sign a delta.
            let a = key.trapdoor().fixed(&honest.inputs) / (b - sign * key.trapdoor().g2[2]);
            key.made(honest.key, honest.inputs.clone(), a, b).case()
        },
    ),
];

/// An abscissa on which the right side of the twist's equation is in the base field: where square roots have a case of their own.
pub fn real_right_side(rng: &mut ChaCha20Rng) -> Fq2 {
    let b = g2::Config::COEFF_B.c1;
    loop {
        // The part of u in (s + tu)³ is 3 s² t − t³, and shall be −b.
        let t = Fq::rand(rng);
        let square = (t * t * t - b) / (t.double() + t);
        if let Some(s) = square.sqrt() {
            return Fq2::new(s, t);
        }
    }
}

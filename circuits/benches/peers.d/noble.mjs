// @noble/curves: plain JavaScript with BigInt.
import { readFileSync } from "node:fs";
import { bn254 } from "@noble/curves/bn254.js";
import { measure, task } from "./common.mjs";

const { Fp12, Fr } = bn254.fields;
const g1 = ([x, y]) => bn254.G1.Point.fromAffine({ x: BigInt(x), y: BigInt(y) });
const g2 = ([x, y]) => bn254.G2.Point.fromAffine({ x: { c0: BigInt(x[0]), c1: BigInt(x[1]) }, y: { c0: BigInt(y[0]), c1: BigInt(y[1]) } });
const key = task.key;
const ic = key.IC.map(g1);
const fixed = { alpha: g1(key.vk_alpha_1).negate(), beta: g2(key.vk_beta_2), gamma: g2(key.vk_gamma_2), delta: g2(key.vk_delta_2) };

function verify(proof, inputs) {
  const [a, b, c] = [g1(proof.pi_a), g2(proof.pi_b), g1(proof.pi_c)];
  for (const point of [a, b, c]) point.assertValidity();
  if (!b.isTorsionFree()) return false;
  let l = ic[0];
  for (const [at, input] of inputs.entries()) {
    const scalar = BigInt(input);
    if (!Fr.isValid(scalar)) return false;
    if (scalar !== 0n) l = l.add(ic[at + 1].multiplyUnsafe(scalar));
  }
  const product = bn254.pairingBatch([
    { g1: a, g2: b },
    { g1: fixed.alpha, g2: fixed.beta },
    { g1: l.negate(), g2: fixed.gamma },
    { g1: c.negate(), g2: fixed.delta },
  ]);
  return Fp12.eql(product, Fp12.ONE);
}

const version = JSON.parse(readFileSync(new URL("./node_modules/@noble/curves/package.json", import.meta.url))).version;
await measure(`@noble/curves ${version}`, "JavaScript with BigInt under Node, one proof at a time; from decimal coordinates; checks curves, the subgroup of B and inputs", verify, 2);

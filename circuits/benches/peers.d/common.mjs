// What the peers in JavaScript have in common: the task is read, proofs are timed one by one, the answer is printed.
import { readFileSync } from "node:fs";

export const task = JSON.parse(readFileSync(process.argv[2]));

// `verify` takes a proof and its inputs, as snarkjs writes them, and gives a verdict or a promise of one.
export async function measure(peer, about, verify, rounds) {
  const verdicts = [];
  const us = [];
  for (let round = 0; round <= rounds; round++) {
    for (const [at, { proof, inputs }] of task.proofs.entries()) {
      const began = process.hrtime.bigint();
      let verdict = false;
      try {
        verdict = await verify(proof, inputs);
      } catch {} // a refusal
      const took = Number(process.hrtime.bigint() - began) / 1e3;
      if (round === 0) verdicts.push(verdict); // and warm-up
      else if (verdict) us.push(took);
    }
  }
  console.log(JSON.stringify({ peer, about, verdicts, us }));
}

// snarkjs, which runs WebAssembly of its own making.
import { readFileSync } from "node:fs";
import { groth16 } from "snarkjs";
import { getCurveFromName } from "ffjavascript";
import { measure, task } from "./common.mjs";

// One thread: snarkjs takes the curve that is there already.
await getCurveFromName("bn128", { singleThread: true });
const version = JSON.parse(readFileSync(new URL("./node_modules/snarkjs/package.json", import.meta.url))).version;
const about = "WebAssembly under Node, one thread, one proof at a time; from decimal coordinates; checks that points are on their curves and inputs canonical, and not that B is in its subgroup";
await measure(`snarkjs ${version}`, about, (proof, inputs) => groth16.verify(task.key, inputs, proof), 3);
process.exit(0); // the curve would keep the process alive

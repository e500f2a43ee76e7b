"""py_ecc: plain Python."""

import json
import sys
import time
from importlib.metadata import version

from py_ecc import optimized_bn128 as bn

with open(sys.argv[1], encoding="utf-8") as file:
    task = json.load(file)


def g1(point):
    x, y = (bn.FQ(int(c)) for c in point[:2])
    point = (x, y, bn.FQ.one())
    assert bn.is_on_curve(point, bn.b)
    return point


def g2(point):
    x, y = (bn.FQ2([int(c) for c in pair]) for pair in point[:2])
    point = (x, y, bn.FQ2.one())
    assert bn.is_on_curve(point, bn.b2)
    assert bn.is_inf(bn.multiply(point, bn.curve_order))
    return point


key = task["key"]
IC = [g1(point) for point in key["IC"]]
GAMMA, DELTA = g2(key["vk_gamma_2"]), g2(key["vk_delta_2"])
ALPHA_BETA = bn.pairing(g2(key["vk_beta_2"]), bn.neg(g1(key["vk_alpha_1"])), final_exponentiate=False)


def verify(proof, inputs):
    try:
        a, b, c = g1(proof["pi_a"]), g2(proof["pi_b"]), g1(proof["pi_c"])
    except AssertionError:
        return False
    total = IC[0]
    for scalar, point in zip(map(int, inputs), IC[1:]):
        if scalar >= bn.curve_order:
            return False
        total = bn.add(total, bn.multiply(point, scalar))
    product = ALPHA_BETA
    for q, p in [(b, a), (GAMMA, bn.neg(total)), (DELTA, bn.neg(c))]:
        product = product * bn.pairing(q, p, final_exponentiate=False)
    return bn.final_exponentiate(product) == bn.FQ12.one()


verdicts, us = [], []
for entry in task["proofs"]:
    began = time.perf_counter()
    verdict = verify(entry["proof"], entry["inputs"])
    took = (time.perf_counter() - began) * 1e6
    verdicts.append(verdict)
    if verdict:
        us.append(took)
print(json.dumps({
    "peer": f"py_ecc {version('py_ecc')}",
    "about": "Python, one proof at a time; from decimal coordinates; checks curves, the subgroup of B and inputs",
    "verdicts": verdicts,
    "us": us,
}))

#!/usr/bin/env python3
"""Verifies an assignment certificate with the genesis file alone: written from fixtures/FORMATS.md, not from the Rust code.

    python3 examples/verify.py fixtures/certificates/winner.json --genesis fixtures/certificates/genesis.json

Needs Python 3.9 and one library, for ed25519: `pip install cryptography`.
Exit codes: 0 it holds, 1 a file cannot be read, 2 usage, 3 it does not hold. Numbers in brackets are sections of FORMATS.md.
"""

import argparse
import hashlib
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_CERTIFICATE_BYTES = 64 << 20
MAX_SET_CHANGES = 1000
MAX_VALIDATORS = 256
MAX_SIBLINGS = 32

class Refused(Exception):
    """The certificate does not hold."""

def require(condition, reason):
    if not condition:
        raise Refused(reason)

class AnyOrder(dict):
    """An object of the genesis file: its members may stand in any order, a certificate's may not."""

# ---- Encodings [2] and how they stand in JSON [19]. An encoder takes a JSON value and gives bytes, or refuses it. ----

def integer(size):
    def encode(value):
        require(type(value) is int and 0 <= value < 1 << 8 * size, f"{value!r} is no u{8 * size}")
        return value.to_bytes(size, "little")

    return encode

def fixed(size):
    pattern = re.compile("[0-9a-f]{%d}" % (2 * size))

    def encode(value):
        require(type(value) is str and pattern.fullmatch(value), f"{value!r} is not {size} bytes in lower-case hex")
        return bytes.fromhex(value)

    return encode

def boolean(value):
    require(type(value) is bool, f"{value!r} is no boolean")
    return bytes([value])

def string(value):
    require(type(value) is str, f"{value!r} is no string")
    return U64(len(value.encode())) + value.encode()

def hex_list(value):  # the one Vec<u8> that JSON has as a string: a type's verifying key
    require(type(value) is str and re.fullmatch("(?:[0-9a-f]{2})*", value), "a key is not lower-case hex")
    return U64(len(value) // 2) + bytes.fromhex(value)

def vec(item):
    def encode(value):
        require(type(value) is list, f"{value!r} is no list")
        return U64(len(value)) + b"".join(map(item, value))

    return encode

def option(item):
    return lambda value: b"\0" if value is None else b"\1" + item(value)

def pair(first, second):
    def encode(value):
        require(type(value) is list and len(value) == 2, f"{value!r} is no pair")
        return first(value[0]) + second(value[1])

    return encode

def struct(**fields):
    def encode(value):
        require(isinstance(value, dict), f"{value!r} is no object")
        found, expected = list(value), list(fields)
        if isinstance(value, AnyOrder):
            found, expected = sorted(found), sorted(expected)
        require(found == expected, f"members {found}, expected {expected}")
        return b"".join(encoder(value[name]) for name, encoder in fields.items())

    return encode

def enum(**variants):  # None: a variant without fields
    def encode(value):
        bare = type(value) is str
        require(bare or (isinstance(value, dict) and len(value) == 1), f"{value!r} is no variant")
        name = value if bare else next(iter(value))
        require(name in variants and (variants[name] is None) == bare, f"{value!r} is no variant")
        index = list(variants).index(name).to_bytes(4, "little")
        return index if bare else index + variants[name](value[name])

    return encode

U8, U16, U32, U64, U128 = (integer(size) for size in (1, 2, 4, 8, 16))
B32, SIGNATURE = fixed(32), fixed(64)

# Claims and types [6], genesis [13].
CLAIM = vec(enum(amount=U32, mask=U64, exact=B32))
RULE = enum(at_least=struct(consumable=boolean), has_all=None, within=None, equals=None)
SCHEMA = struct(fields=vec(struct(name=string, unit=string, labels=vec(string), rule=RULE)))
SETUP = enum(dev=None, ceremony=struct(transcript=B32, contributions=U32, beacon=B32))
TYPE = struct(name=string, version=U16, schema=SCHEMA, vk=hex_list, r1cs_hash=B32, setup=SETUP)
PARAMS = struct(
    block_interval_ms=U64, propose_timeout_ms=U64, vote_timeout_ms=U64, timeout_delta_ms=U64, max_clock_ahead_ms=U64,
    max_clock_behind_ms=U64, evidence_age=U64, max_block_bytes=U32, max_block_txs=U32)
GENESIS = struct(
    version=U16, name=string, time=U64, consensus=PARAMS, allow_insecure_setup=boolean,
    validators=vec(struct(name=string, key=B32, power=U64)), issuers=vec(struct(name=string, key=B32, quota=U32)),
    openers=enum(any=None, list=vec(B32)), types=vec(TYPE), open_budget=U32)
VALIDATORS = vec(struct(key=B32, power=U64))

# Headers [16], commit certificates [17], paths [4].
HEADER = struct(
    version=U16, chain=B32, height=U64, parent=B32, time=U64, tx_root=B32, last_certificate_hash=B32, evidence_hash=B32,
    witness_hash=B32, validators_hash=B32, next_validators_hash=B32, state_root=B32, outcome_root=B32)
COMMIT = enum(V1=struct(height=U64, round=U32, block=B32, signers=vec(U8), signatures=vec(SIGNATURE)))
PATH = struct(index=U32, count=U32, path=vec(B32))

# Outcomes [15], summaries of evidence [10].
SUMMARY = struct(
    type_id=B32, kind=enum(proof=None, attestation=None), registry_root=B32, asset=B32, issuers=U64, serial=U64, claim=CLAIM)
ENTRY_OUTCOME = enum(
    won=struct(payment=U64), outbid=struct(by=B32), slots_used=None, above_reserve=None,
    not_covered=struct(type_id=B32, field=U16), not_evidenced=struct(type_id=B32), no_slots=None, unknown_task=None)
UNIT_OUTCOME = enum(
    filled=struct(bid=B32, payment=U64, price=U64, set_by=option(B32), runner_up=option(B32)),
    no_covering_bid=None, above_reserve=None, no_capacity=None, auction_void=None)
AUCTION_END = enum(
    cleared=struct(seed=B32, nonces=vec(U32), bids=U32, surplus=U128),
    no_keys=struct(missing=vec(B32)), no_reveals=struct(withheld=vec(B32)))
BID_REASON = enum(
    seal_invalid=None, suspended=None, no_capacity=None, replaced=struct(by=B32), no_entries=None, auction_void=None)
AWARD_STATE = enum(
    assigned=None, accepted=None, delivered=struct(result=B32), confirmed=None, rejected=None,
    failed=enum(suspended=None), expired=None)
RECORD = enum(
    Auction=struct(auction=B32, end=AUCTION_END),
    Bid=struct(auction=B32, bid=B32, bidder=B32, asset=B32, reason=BID_REASON),
    Entry=struct(
        auction=B32, task=U32, bid=B32, bidder=B32, asset=B32, evidences=vec(SUMMARY), requirements=vec(pair(B32, CLAIM)),
        price=U64, reserve=U64, bonus=U64, rule=enum(vcg=None, pay_as_bid=None), lease_end=U64, outcome=ENTRY_OUTCOME),
    Unit=struct(auction=B32, task=U32, unit=U32, outcome=UNIT_OUTCOME),
    Award=struct(award=struct(auction=B32, task=U32, bid=B32), bidder=B32, payment=U64, state=AWARD_STATE))
CERTIFICATE = struct(
    format=enum(**{"tender/assignment/1": None}), chain=B32,
    set_changes=vec(struct(header=HEADER, certificate=COMMIT, next=VALIDATORS)),
    header=HEADER, certificate=COMMIT, path=PATH, record=RECORD)

# ---- Hashes and Merkle paths [3, 4] ----

def tagged(tag, *parts):
    lengths = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return hashlib.sha256(f"tender/1/{tag}".encode().ljust(32, b"\0") + lengths).digest()

def root_of(leaf, path):
    index, count, siblings = path["index"], path["count"], [bytes.fromhex(s) for s in path["path"]]
    require(index < count and len(siblings) <= MAX_SIBLINGS, "the path is malformed")
    node, at, width = leaf, index, count
    while width > 1:
        if at % 2 == 1 or at != width - 1:
            require(siblings, "the path is too short")
            sibling = siblings.pop(0)
            node = tagged("merkle/node", node, sibling) if at % 2 == 0 else tagged("merkle/node", sibling, node)
        at, width = at // 2, (width + 1) // 2
    require(not siblings, "the path is too long")
    return tagged("merkle/root", U64(count), node)

# ---- Strict ed25519 [5]: what the library leaves open is checked here ----

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def is_strong_point(encoded):
    """Whether these are the canonical bytes of a point that does not have small order."""
    y = int.from_bytes(encoded, "little") & (1 << 255) - 1  # the top bit is the sign of x
    small = y in (0, 1, P - 1) or (D * y**4 + 2 * y * y - 1) % P == 0  # order 4, 1, 2, or 8
    if y >= P or small:
        return False
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    return pow(x_squared, (P - 1) // 2, P) == 1

def signature_holds(key, tag, chain, message, signature):
    if not is_strong_point(key) or not is_strong_point(signature[:32]):
        return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, tagged(tag, chain, message))
    except InvalidSignature:
        return False
    return True

# ---- The steps of [19] ----

def ascending(values):
    return all(a < b for a, b in zip(values, values[1:]))

def set_hash(validators):
    return tagged("validators", VALIDATORS(validators)).hex()

def check_set(validators, where):
    keys = [v["key"] for v in validators]
    require(1 <= len(keys) <= MAX_VALIDATORS, f"{where}: {len(keys)} validators")
    require(ascending(keys), f"{where}: validators are not in key order, each once")
    require(all(v["power"] >= 1 for v in validators), f"{where}: a validator has no power")
    require(all(is_strong_point(bytes.fromhex(key)) for key in keys), f"{where}: a validator's key is weak or no point")

def check_committed(chain, validators, header, certificate):
    where, commit = f"height {header['height']}", certificate["V1"]
    require(set_hash(validators) == header["validators_hash"], f"{where}: decided by another set")
    block = tagged("block", HEADER(header))
    require(commit["height"] == header["height"] and commit["block"] == block.hex(), f"{where}: certifies another block")
    bitmap = commit["signers"]
    signers = [i for i in range(8 * len(bitmap)) if bitmap[i // 8] >> i % 8 & 1]
    require(len(bitmap) == (len(validators) + 7) // 8, f"{where}: the bitmap does not fit the set")
    require(all(i < len(validators) for i in signers), f"{where}: the bitmap names validators beyond the set")
    require(len(signers) == len(commit["signatures"]), f"{where}: not one signature a signer")
    power, total = sum(validators[i]["power"] for i in signers), sum(v["power"] for v in validators)
    require(3 * power > 2 * total, f"{where}: signers hold {power} of {total}, not more than two thirds")
    vote = U64(header["height"]) + U32(commit["round"]) + b"\1" + block
    for i, signature in zip(signers, commit["signatures"]):
        key = validators[i]["key"]
        holds = signature_holds(bytes.fromhex(key), "sign/precommit", chain, vote, bytes.fromhex(signature))
        require(holds, f"{where}: the precommit of validator {key} does not verify")

def verify(data, genesis, chain):
    """The certificate, if it holds for the chain of this genesis document."""
    require(len(data) <= MAX_CERTIFICATE_BYTES, "the file is too large")
    try:
        text = data.decode()
        file = json.loads(text)
        CERTIFICATE(file)  # every member is there, in order, of its type
        one_form = json.dumps(file, indent=2, ensure_ascii=False) + "\n"
    except (ValueError, RecursionError) as error:
        raise Refused(f"not a certificate: {error}") from None
    require(text == one_form, "the file is not in its one form: it was changed after it was written")

    headers = [change["header"] for change in file["set_changes"]] + [file["header"]]
    for found in [file["chain"]] + [header["chain"] for header in headers]:
        require(found == chain.hex(), f"it speaks of chain {found}, the genesis file is chain {chain.hex()}")
    heights = [header["height"] for header in headers]
    require(ascending(heights) and len(heights) <= MAX_SET_CHANGES + 1, "set changes are out of order or too many")

    validators = [{"key": v["key"], "power": v["power"]} for v in genesis["validators"]]
    check_set(validators, "genesis")
    for change in file["set_changes"]:
        header, after = change["header"], change["next"]
        check_committed(chain, validators, header, change["certificate"])
        check_set(after, f"height {header['height']}")
        require(set_hash(after) == header["next_validators_hash"], f"height {header['height']}: names another next set")
        validators = after
    check_committed(chain, validators, file["header"], file["certificate"])
    root = root_of(tagged("merkle/leaf", RECORD(file["record"])), file["path"])
    require(root.hex() == file["header"]["outcome_root"], "the record is not under the block's outcome root")
    return file

def no_repeats(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member stands there twice")
    return AnyOrder(pairs)

def main():
    arguments = argparse.ArgumentParser(description="Verify an assignment certificate with the genesis file alone.")
    arguments.add_argument("certificate")
    arguments.add_argument("--genesis", required=True, help="the chain's genesis file, from somebody you trust")
    named = arguments.parse_args()
    try:
        with open(named.genesis, encoding="utf-8") as file:
            genesis = json.load(file, object_pairs_hook=no_repeats)
        chain = tagged("genesis", GENESIS(genesis))
        with open(named.certificate, "rb") as file:
            data = file.read(MAX_CERTIFICATE_BYTES + 1)
    except (OSError, ValueError, RecursionError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        file = verify(data, genesis, chain)
    except Refused as reason:
        print(f"does not hold: {reason}", file=sys.stderr)
        return 3
    block = tagged("block", HEADER(file["header"])).hex()
    print(f"holds: committed in block {block} at height {file['header']['height']} of chain {chain.hex()}")
    print(json.dumps(file["record"], indent=2))
    return 0

if __name__ == "__main__":
    sys.exit(main())

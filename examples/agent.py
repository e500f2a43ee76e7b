#!/usr/bin/env python3
"""A whole agent with nothing but Python's standard library: it speaks to its own peer, which holds its key.

    agent.py open HOME AUCTION.json              opens an auction with HOME's key, prints its id
    agent.py win  HOME AUCTION BID.json GENESIS  bids, waits for the outcome, accepts what it won, checks the certificates

HOME is a home whose peer runs (`tender testnet` writes homes, `tender start --home HOME` runs one). The peer says in
HOME/addresses.json where its API is; HOME/api-token is what the API wants to be shown before it signs. GENESIS is the chain's
genesis file: all that `tender verify` needs to check a certificate, offline. TENDER names the program if it is not in the PATH.
"""
import json, os, subprocess, sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen, urlretrieve

command, home, subject, *files = sys.argv[1:]
api = json.load(open(f"{home}/addresses.json"))["api"]
headers = {"Authorization": "Bearer " + open(f"{home}/api-token").read().strip(), "Content-Type": "application/json"}

def call(path, document=None):
    try:
        answer = urlopen(Request(api + path, document and json.dumps(document).encode(), headers))
        # 202: it takes longer than a request may, ask there
        return call(answer.headers["Location"]) if answer.status == 202 else json.load(answer)
    except HTTPError as refusal:  # {"code": …, "message": what happened, "hint": what to do next}
        sys.exit(refusal.read().decode())

def wait_for(auction, *phases):
    # From the first block on. An agent that runs for long keeps the last `id:` and sends it back as Last-Event-ID.
    for line in urlopen(f"{api}/v1/events?from=1"):
        event = json.loads(line[6:]) if line.startswith(b"data: ") else {}
        if event.get("auction") == auction and event["phase"] in phases:
            return

if command == "open":
    print(call("/v1/auctions", json.load(open(subject)))["auction"])
else:
    wait_for(subject, "bidding")
    bid = call("/v1/bids", {"auction": subject, **json.load(open(files[0]))})["bid"]
    wait_for(subject, "cleared", "void")
    for task in [award["task"] for award in call(f"/v1/auctions/{subject}")["awards"] if award["bid"] == bid]:
        call(f"/v1/auctions/{subject}/accept", {"task": task})
        certificate = f"{api}/v1/auctions/{subject}/certificate?task={task}&bid={bid}"
        file, _ = urlretrieve(certificate, f"{home}/won-{task}.json")
        subprocess.run([os.environ.get("TENDER", "tender"), "verify", file, "--genesis", files[1]], check=True)

"""One peer on one market: solve.py PEER FILE. Prints what auction/benches/peers promises, or nothing if the peer does not solve such markets."""

import json
import sys
import time

import numpy as np


class Market:
    """A file as p2p/src/cli/bench/clear/dump.rs lays it out."""

    def __init__(self, path):
        data = open(path, "rb").read()
        assert data[:8] == b"TENDERM1", "not a market's file"
        self.agents, self.tasks, self.entries = (int(n) for n in np.frombuffer(data, "<u8", 3, 8))
        at = 32

        def take(kind, count):
            nonlocal at
            part = np.frombuffer(data, kind, count, at)
            at += part.nbytes
            return part.astype(np.int64)

        self.reserves = take("<u8", self.tasks)
        prices = take("<u8", self.entries)
        self.quantities = take("<u4", self.tasks)
        self.slots = take("<u4", self.agents)
        offsets = take("<u4", self.agents + 1)
        self.task = take("<u4", self.entries)
        self.agent = np.repeat(np.arange(self.agents), np.diff(offsets))
        self.surplus = self.reserves[self.task] - prices
        self.has_units = self.slots.max() == 1 and self.quantities.max() == 1
        # Everybody can be served, and reserves are so high that an optimum serves everybody.
        self.is_full = self.has_units and self.agents == self.tasks and self.reserves.min() >= 1000 * prices.max()


def timed(solve):
    began = time.perf_counter()
    result = solve()
    return result, (time.perf_counter() - began) * 1e3


def say(peer, module, about, surplus, ms):
    peer += " " + ".".join(module.__version__.split(".")[:2])
    print(json.dumps({"peer": peer, "about": about, "surplus": int(surplus), "ms": ms}))


def min_cost_flow(market):
    import ortools
    from ortools.graph.python import min_cost_flow

    flow = min_cost_flow.SimpleMinCostFlow()
    agents, tasks = market.agents, market.tasks
    source, sink = agents + tasks, agents + tasks + 1
    none = lambda count: np.zeros(count, np.int64)
    whole = lambda nodes, node: np.full(nodes, node)
    flow.add_arcs_with_capacity_and_unit_cost(whole(agents, source), np.arange(agents), market.slots, none(agents))
    ones = np.ones(market.entries, np.int64)
    flow.add_arcs_with_capacity_and_unit_cost(market.agent, market.task + agents, ones, -market.surplus)
    flow.add_arcs_with_capacity_and_unit_cost(np.arange(tasks) + agents, whole(tasks, sink), market.quantities, none(tasks))
    slots = int(market.slots.sum())
    flow.add_arcs_with_capacity_and_unit_cost([source], [sink], [slots], [0])
    flow.set_nodes_supplies([source, sink], [slots, -slots])
    status, ms = timed(flow.solve)
    assert status == flow.OPTIMAL, status
    about = "SimpleMinCostFlow (cost scaling, push-relabel): bids to tasks, unsold slots past them"
    say("ortools min-cost flow", ortools, about, -flow.optimal_cost(), ms)


def assignment(market):
    """Cost scaling. Where not everybody is served, on the market and its mirror image, between whose halves all may stay unserved."""
    import ortools
    from ortools.graph.python import linear_sum_assignment

    if not market.has_units:
        return
    solver = linear_sum_assignment.SimpleLinearSumAssignment()
    agents, tasks = market.agents, market.tasks
    left, right, cost = market.agent, market.task, -market.surplus
    name, about = "ortools assignment", "SimpleLinearSumAssignment (cost scaling): agents to tasks"
    if not market.is_full:
        left = np.concatenate([left, np.arange(tasks) + agents, np.arange(agents), market.task + agents])
        right = np.concatenate([right, np.arange(tasks), np.arange(agents) + tasks, market.agent + tasks])
        cost = np.concatenate([cost, np.zeros(tasks + agents + market.entries, np.int64)])
        name, about = "ortools doubled assignment", "SimpleLinearSumAssignment on the market and its mirror image"
    solver.add_arcs_with_cost(left.astype(np.int32), right.astype(np.int32), cost)
    status, ms = timed(solver.solve)
    assert status == solver.OPTIMAL, status
    say(name, ortools, about, -solver.optimal_cost(), ms)


def scipy(market):
    """Jonker and Volgenant's algorithm on a sparse matrix; each agent has a column of its own in which it stays unserved."""
    import scipy
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    if not market.has_units:
        return
    agents, tasks = market.agents, market.tasks
    most = int(market.surplus.max()) + 1  # a weight of 0 would be no entry
    row, column, weight, columns = market.agent, market.task, most - market.surplus, tasks
    if not market.is_full:
        row = np.concatenate([row, np.arange(agents)])
        column = np.concatenate([column, np.arange(agents) + tasks])
        weight = np.concatenate([weight, np.full(agents, most)])
        columns = tasks + agents
    assert most * agents < 1 << 53, "exact in doubles"
    matrix = csr_matrix((weight.astype(float), (row, column)), shape=(agents, columns))
    pairs, ms = timed(lambda: min_weight_full_bipartite_matching(matrix))
    about = "min_weight_full_bipartite_matching (sparse Jonker-Volgenant, doubles)"
    say("scipy sparse matching", scipy, about, most * agents - int(matrix[pairs].sum()), ms)


if __name__ == "__main__":
    {"min-cost-flow": min_cost_flow, "assignment": assignment, "scipy": scipy}[sys.argv[1]](Market(sys.argv[2]))

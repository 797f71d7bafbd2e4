# SPDX-License-Identifier: Apache-2.0
"""The accelerator space as data: categorical parameters, the masks that make some depend on others, and decoding.

Parameters are sampled in order; the mask of a parameter depends on the ones before it only. Every masked sample decodes
to a legal, deadlock-free accelerator: `pq` is reduced to the greatest value that divides what its consumers need, a
layer's stage is its producers' latest plus its own offset (every chunk then counts from its lowest), and rings inside
a chunk are as large as the program needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd, prod
from typing import NamedTuple

import numpy as np

from nba.core.compiled import compiled
from nba.explore.modulo import make_rings
from nba.explore.options import sizes_up_to
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job
from nba.ir.network import Network
from nba.ir.operators import engine_kind
from nba.machine.accelerator_rules import PARALLEL_COLUMNS
from nba.machine.designs import HEIGHT_IN, INPUT, KERNEL_H, RESIDUAL, ROWS, STRIDE_H, Designs
from nba.machine.geometry import input_word, least_rows
from nba.machine.windows import uses_of

PER_CHUNK = 5
"""Parameters of a chunk: kind, active, pm, pn, pq."""
PER_SLOT = 3
"""Parameters of a slot: chunk, stage offset, ring policy."""
MAX_OPTIONS = 62
"""Options of one parameter: compiled code keeps sets of them as bits of an integer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One categorical parameter; `options` are its values, `index` the chunk or slot that it belongs to."""

    name: str
    index: int
    options: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceleratorSpace:
    """Accelerators of `n_chunks` potential chunks for the potential layers `slots` (whether each mixes channels).

    The first chunk mixes and is active, the second does not and is active, where the slots have both kinds. All have
    the same `packing`: layer tables for it are made with it.
    """

    slots: tuple[bool, ...]
    n_chunks: int = 4
    packing: int = 1
    columns: tuple[int, ...] = PARALLEL_COLUMNS
    sizes_m: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 24, 32)
    sizes_n: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 24, 32)
    drains: tuple[int, ...] = (1, 2, 4, 8)
    offsets: tuple[int, ...] = (0, 1)
    policies: tuple[int, ...] = (0, 1, 2)

    def within(self, channels: int) -> AcceleratorSpace:
        """The space without the engines that are larger than maps of at most `channels` channels can fill."""
        m, n = (sizes_up_to(channels, sizes) for sizes in (self.sizes_m, self.sizes_n))
        return replace(self, sizes_m=m, sizes_n=n)

    def parameters(self) -> tuple[Parameter, ...]:
        """pp; per chunk kind (1 mixes channels), active, pm, pn, pq; per slot chunk, stage offset, ring policy."""
        found = [Parameter(name="pp", index=0, options=self.columns)]
        for k in range(self.n_chunks):
            found.append(Parameter(name="kind", index=k, options=(1, 0)))
            found.append(Parameter(name="active", index=k, options=(1, 0)))
            found.append(Parameter(name="pm", index=k, options=self.sizes_m))
            found.append(Parameter(name="pn", index=k, options=self.sizes_n))
            found.append(Parameter(name="pq", index=k, options=self.drains))
        for s in range(len(self.slots)):
            found.append(Parameter(name="chunk", index=s, options=tuple(range(self.n_chunks))))
            found.append(Parameter(name="offset", index=s, options=self.offsets))
            found.append(Parameter(name="policy", index=s, options=self.policies))
        return tuple(found)

    def forced(self) -> dict[int, int]:
        """Chunk -> its only kind (1 mixes channels), for the chunks that always exist."""
        return dict(enumerate(int(mixes) for mixes in (True, False) if mixes in self.slots))

    @property
    def first_slot(self) -> int:
        """Number of the first parameter of the first slot."""
        return 1 + PER_CHUNK * self.n_chunks

    @property
    def n_parameters(self) -> int:
        """How many parameters there are."""
        return self.first_slot + PER_SLOT * len(self.slots)

    def rules(self) -> Rules:
        """The space as arrays, for compiled code; not to be written to."""
        return _rules(self)

    def _make_rules(self) -> Rules:
        parameters = self.parameters()
        width = max(len(p.options) for p in parameters)
        assert width <= MAX_OPTIONS, width
        options = np.array([p.options + p.options[-1:] * (width - len(p.options)) for p in parameters], np.int64)
        forced = self.forced()
        kinds = [3 if k not in forced else 2 - forced[k] for k in range(self.n_chunks)]
        present = sum(2 - kind for kind in set(forced.values()))
        divides = [sum(1 << d for d, pq in enumerate(self.drains) if pm % pq == 0) for pm in self.sizes_m]
        return Rules(
            options=options,
            counts=np.array([len(p.options) for p in parameters], np.int64),
            kinds=np.array(kinds, np.int64) & present,
            optional=np.array([k not in forced for k in range(self.n_chunks)], np.int64),
            divides=np.array(divides, np.int64),
            slot_kind=np.array(self.slots, np.int64),
        )

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` choices (option indices), int8 [n, parameters]; every parameter is uniform over what its mask allows."""
        rules = self.rules()
        choice = np.empty((n, self.n_parameters), np.int8)
        draw_choices(rng, rules, np.ones(rules.options.shape), np.ones(self.n_parameters, np.bool_), choice)
        return choice

    def mask(self, done: np.ndarray, number: int) -> np.ndarray:
        """bool [B, options]: what parameter `number` may be, given the option indices done [B, >= number] before it."""
        rules = self.rules()
        return (_allowed(done, number, *rules)[:, None] >> np.arange(rules.counts[number]) & 1).astype(np.bool_)

    def size(self) -> int:
        """An upper bound of the number of choices."""
        return prod(len(p.options) for p in self.parameters())

    def enumerate(self) -> np.ndarray:
        """All choices, int8 [choices, parameters], of a tiny space."""
        rules = self.rules()
        rows = np.zeros((1, self.n_parameters), np.int8)
        for i in range(self.n_parameters):
            allowed = _allowed(rows, i, *rules)
            which, option = np.nonzero(allowed[:, None] >> np.arange(rules.counts[i]) & 1)
            rows = rows[which]
            rows[:, i] = option
        return rows

    def decode(self, choice: np.ndarray, layers: np.ndarray, slot_of_layer: tuple[int, ...]) -> Designs:
        """The designs of choice [B, parameters] for the network of `layers` (nba.machine.designs.layer_table),
        whose layer i is potential layer slot_of_layer[i]; chunks without layers remain."""
        b, n_layers = len(choice), len(layers)
        one, chunks, every = b, (b, self.n_chunks), (b, n_layers)
        out = Designs(
            pp=np.empty(one, np.int64), in_lanes=np.empty(one, np.int64), out_lanes=np.empty(one, np.int64),
            out_rows=np.empty(one, np.int64), mixes=np.empty(chunks, np.int64), pm=np.empty(chunks, np.int64),
            pn=np.empty(chunks, np.int64), pq=np.empty(chunks, np.int64), chunk=np.empty(every, np.int64),
            stage=np.empty(every, np.int64), position=np.empty(every, np.int64), main_rows=np.empty(every, np.int64),
            res_rows=np.empty(every, np.int64),
        )  # fmt: skip
        _decode(
            choice, self.rules().options, np.array(slot_of_layer, np.int64),
            np.ascontiguousarray(layers[:, [INPUT, RESIDUAL, ROWS, KERNEL_H, STRIDE_H]]), int(layers[0, HEIGHT_IN]),
            *out.arrays(),
        )  # fmt: skip
        return out


class Rules(NamedTuple):
    """An AcceleratorSpace for compiled code; sets of options are bits of an integer, option o is bit o.

    options: int64 [parameters, most options], padded; counts: how many there are. Per chunk: kinds, the set of its
    options; optional, 1 if it may be left out. divides: for every option of pm, the set of drains that divide it.
    slot_kind: 1 for every slot that mixes channels.
    """

    options: np.ndarray
    counts: np.ndarray
    kinds: np.ndarray
    optional: np.ndarray
    divides: np.ndarray
    slot_kind: np.ndarray


@lru_cache(maxsize=16)
def _rules(space: AcceleratorSpace) -> Rules:
    return space._make_rules()


@compiled
def lowest(bits: int) -> int:
    """`bits` with its lowest set bit alone."""
    return bits & -bits


@compiled
def chunk_option(
    row: np.ndarray, i: int, counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray, divides: np.ndarray
) -> int:
    """Set of options of parameter i of a chunk (not of a slot), given those before it in `row`."""
    everything = (1 << counts[i]) - 1
    if i == 0:
        return everything
    k = (i - 1) // PER_CHUNK
    which = (i - 1) % PER_CHUNK
    if which == 0:
        return kinds[k]
    if which == 1:
        return 3 if optional[k] == 1 else 1
    here = 1 + PER_CHUNK * k
    active = row[here + 1] == 0
    if which == 2:
        return everything if active else 1
    if which == 3:
        return everything if active and row[here] == 0 else 1
    legal = divides[row[here + 2]]
    return legal if active else lowest(legal)


@compiled
def chunk_sets(row: np.ndarray, n_chunks: int) -> tuple[int, int]:
    """Sets of the active chunks of `row`: those that do not mix channels, and those that do."""
    others = 0
    mixing = 0
    for k in range(n_chunks):
        if row[2 + PER_CHUNK * k] == 0:
            if row[1 + PER_CHUNK * k] == 0:
                mixing |= 1 << k
            else:
                others |= 1 << k
    return others, mixing


@compiled
def _allowed(
    rows: np.ndarray, i: int, options: np.ndarray, counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray,
    divides: np.ndarray, slot_kind: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """int64 [B]: sets of options of parameter i, given those before it in rows [B, parameters]."""
    n_chunks = kinds.size
    first_slot = 1 + PER_CHUNK * n_chunks
    found = np.empty(rows.shape[0], np.int64)
    for b in range(rows.shape[0]):
        if i < first_slot:
            found[b] = chunk_option(rows[b], i, counts, kinds, optional, divides)
        elif (i - first_slot) % PER_SLOT:
            found[b] = (1 << counts[i]) - 1
        else:
            found[b] = chunk_sets(rows[b], n_chunks)[slot_kind[(i - first_slot) // PER_SLOT]]
    return found


@compiled
def pick(weights: np.ndarray, legal: int, u: float) -> int:
    """The option of the set `legal` at the share `u` (0..1) of the summed weights."""
    total = 0.0
    for o in range(weights.size):
        total += weights[o] * (legal >> o & 1)
    left = u * total
    found = 0
    for o in range(weights.size):
        if legal >> o & 1:
            found = o
            left -= weights[o]
            if left < 0.0:
                break
    return found


@compiled
def _draw(
    rng: np.random.Generator, weights: np.ndarray, active: np.ndarray, choice: np.ndarray, options: np.ndarray,
    counts: np.ndarray, kinds: np.ndarray, optional: np.ndarray, divides: np.ndarray, slot_kind: np.ndarray,
) -> None:  # fmt: skip
    n_chunks = kinds.size
    first_slot = 1 + PER_CHUNK * n_chunks
    for b in range(choice.shape[0]):
        row = choice[b]
        for i in range(first_slot):
            legal = chunk_option(row, i, counts, kinds, optional, divides)
            row[i] = pick(weights[i, : counts[i]], legal, rng.random())
        sets = chunk_sets(row, n_chunks)
        for s in range(slot_kind.size):
            legal = sets[slot_kind[s]]
            i = first_slot + PER_SLOT * s
            if not active[i]:
                row[i] = pick(weights[i, : counts[i]], lowest(legal), 0.0)
                row[i + 1] = 0
                row[i + 2] = 0
                continue
            row[i] = pick(weights[i, : counts[i]], legal, rng.random())
            for j in range(i + 1, i + PER_SLOT):
                row[j] = pick(weights[j, : counts[j]], (1 << counts[j]) - 1, rng.random())


def draw_choices(
    rng: np.random.Generator, rules: Rules, weights: np.ndarray, active: np.ndarray, choice: np.ndarray
) -> None:  # fmt: skip
    """Fill choice int8 [B, parameters] with samples: every parameter by its weights [parameters, options] among what
    those before it allow; parameters of slots that are not active bool [parameters] take the first legal option."""
    _draw(rng, weights, active, choice, *rules)


# One compiled loop: it fills the arrays of `Designs`, which are its arguments, in one pass over the layers.
@compiled
def _decode(
    choice: np.ndarray, options: np.ndarray, slot_of_layer: np.ndarray, facts: np.ndarray, height_in: int,
    pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray, mixes: np.ndarray,
    pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray, position: np.ndarray,
    main_rows: np.ndarray, res_rows: np.ndarray,
) -> None:  # fmt: skip
    """Fills the arrays of Designs: legal drains, stages, ring sizes and streams of every design. facts int64 [L, 5]:
    input and residual tensor, output rows, kernel height, stride.

    A consumer d stages after its producer needs d + 1 maps never to block it for good. Between chunks the policy of
    the consumer asks for more, or for the fewest rows that are legal, which may deadlock.
    """
    n_layers, n_chunks = facts.shape[0], pm.shape[1]
    first_slot = 1 + PER_CHUNK * n_chunks
    # Sets of the chunks that read what a chunk writes, on either port: drains depend on pairs of chunks only.
    readers = np.zeros((n_chunks, 2), np.int64)
    low = np.zeros(n_chunks, np.int64)
    for b in range(choice.shape[0]):
        row = choice[b]
        pp[b] = options[0, row[0]]
        for k in range(n_chunks):
            i = 1 + PER_CHUNK * k
            mixes[b, k] = options[i, row[i]]
            pm[b, k] = options[i + 2, row[i + 2]]
            pn[b, k] = options[i + 3, row[i + 3]]
            pq[b, k] = gcd(options[i + 4, row[i + 4]], pm[b, k])
            readers[k] = 0
            low[k] = 1 << 30
        lanes_in = 0
        for i in range(n_layers):
            p = first_slot + PER_SLOT * slot_of_layer[i]
            k = row[p]
            chunk[b, i] = k
            fact = facts[i]
            before = 0
            if fact[0] > 0:
                readers[chunk[b, fact[0] - 1], 0] |= 1 << k
                before = stage[b, fact[0] - 1]
            if fact[1] > 0:
                readers[chunk[b, fact[1] - 1], 1] |= 1 << k
                before = max(before, stage[b, fact[1] - 1])
            now = before + options[p + 1, row[p + 1]]
            stage[b, i] = now
            low[k] = min(low[k], now)
            position[b, i] = i
            least = least_rows(fact[3], fact[4])
            if fact[0] == 0:
                height = height_in
                rows = height * (now + 1)
                other = True
            else:
                height = facts[fact[0] - 1, 2]
                rows = height * (now - stage[b, fact[0] - 1] + 1)
                other = chunk[b, fact[0] - 1] != k
            policy = options[p + 2, row[p + 2]]
            wanted = least if policy == 0 else rows + height * (policy - 1)
            main_rows[b, i] = max(wanted if other else rows, least)
            res_rows[b, i] = 0
            if fact[1] >= 0:
                height = facts[fact[1] - 1, 2] if fact[1] > 0 else height_in
                res_rows[b, i] = height * (now - (stage[b, fact[1] - 1] if fact[1] > 0 else 0) + 1)
        for p in range(n_chunks):
            for k in range(n_chunks):
                if readers[p, 0] >> k & 1:
                    lanes = input_word(mixes[b, k] == 1, pm[b, k], pn[b, k])
                    pq[b, p] = gcd(lanes, pq[b, p])
        changed = True
        while changed:
            changed = False
            for p in range(n_chunks):
                for k in range(n_chunks):
                    if readers[p, 1] >> k & 1:
                        legal = gcd(pq[b, k], pq[b, p])
                        changed = changed or legal != pq[b, p]
                        pq[b, p] = legal
        for i in range(n_layers):
            k = chunk[b, i]
            stage[b, i] -= low[k]
            if facts[i, 0] == 0:
                lanes_in = gcd(lanes_in, input_word(mixes[b, k] == 1, pm[b, k], pn[b, k]))
            if facts[i, 1] == 0:
                lanes_in = gcd(lanes_in, pq[b, k])
        in_lanes[b] = lanes_in
        out_lanes[b] = pq[b, chunk[b, n_layers - 1]]
        out_rows[b] = facts[n_layers - 1, 2]


def accelerator_of(network: Network, designs: Designs, b: int, packing: int = 1) -> Accelerator:
    """Design number `b` as an accelerator of `network`: chunks without layers are left out."""
    owner = designs.chunk[b].tolist()
    stage = designs.stage[b].tolist()
    chunks = []
    for k in sorted(set(owner)):
        mine = sorted((i for i, o in enumerate(owner) if o == k), key=lambda i: int(designs.position[b, i]))
        mixes = bool(designs.mixes[b, k])
        chunks.append(
            Chunk(
                kind=engine_kind(mixes),
                pm=int(designs.pm[b, k]),
                pn=int(designs.pn[b, k]) if mixes else 1,
                pq=int(designs.pq[b, k]),
                jobs=tuple(Job(layer=i, stage=stage[i]) for i in mine),
            )
        )
    plain = Accelerator(
        packing=packing, pp=int(designs.pp[b]), chunks=tuple(chunks), rings=(), out_lanes=int(designs.out_lanes[b])
    )
    rows = {}
    for use in uses_of(network):
        _, consumer, port = use
        if consumer == HOST:
            rows[use] = int(designs.out_rows[b])
        else:
            rows[use] = int((designs.main_rows if port == "main" else designs.res_rows)[b, consumer])
    return replace(plain, rings=make_rings(network, plain, rows))

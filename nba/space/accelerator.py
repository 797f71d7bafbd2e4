# SPDX-License-Identifier: Apache-2.0
"""The accelerator space as data: categorical parameters, the masks that make some depend on others, and decoding.

Parameters are sampled in order; the mask of a parameter depends on the ones before it only. Every masked sample decodes
to a legal, deadlock-free accelerator: `pq` is reduced to the greatest value that divides what its consumers need, a
layer's stage is its producers' latest plus its own offset, and rings inside a chunk are as large as the program needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from nba.cost.cycles import HEIGHT_IN, INPUT, KERNEL_H, RESIDUAL, ROWS, STRIDE, Designs
from nba.cost.pipeline import compiled
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Kind
from nba.ir.accelerator_rules import PARALLEL_COLUMNS
from nba.ir.network import Network
from nba.mapper.modulo import make_rings, uses_of

PER_CHUNK = 5
"""Parameters of a chunk: kind, active, pm, pn, pq."""
PER_SLOT = 3
"""Parameters of a slot: chunk, stage offset, ring policy."""
RING_POLICIES = ("minimal", "map", "two maps")
"""What a layer's input ring holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One categorical parameter; `options` are its values, `index` the chunk or slot that it belongs to."""

    name: str
    index: int
    options: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceleratorSpace:
    """Accelerators of `n_chunks` potential chunks for the potential layers `slots` (the kind of each).

    The first chunk is dense and active, the second depthwise and active, where the slots have both kinds.
    """

    slots: tuple[Kind, ...]
    n_chunks: int = 4
    columns: tuple[int, ...] = PARALLEL_COLUMNS
    sizes_m: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 24, 32)
    sizes_n: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 24, 32)
    drains: tuple[int, ...] = (1, 2, 4, 8)
    offsets: tuple[int, ...] = (0, 1)
    policies: tuple[int, ...] = (0, 1, 2)

    def parameters(self) -> tuple[Parameter, ...]:
        """pp; per chunk kind (1 is dense), active, pm, pn, pq; per slot chunk, stage offset, ring policy."""
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
        """Chunk -> its only kind (1 is dense), for the chunks that always exist."""
        kinds = [kind for kind in ("dense", "depthwise") if kind in self.slots]
        return {k: int(kind == "dense") for k, kind in enumerate(kinds)}

    def mask(self, done: np.ndarray, number: int) -> np.ndarray:
        """bool [B, options]: what parameter `number` may be, given the option indices done [B, >= number] before it."""
        everything = np.ones((len(done), 1), np.bool_)
        if number == 0:
            return everything & np.ones(len(self.columns), np.bool_)
        if number < self.first_slot:
            return self._chunk_mask(done, *divmod(number - 1, PER_CHUNK))
        s, which = divmod(number - self.first_slot, PER_SLOT)
        if which:
            return everything & np.ones(len((self.offsets, self.policies)[which - 1]), np.bool_)
        dense = done[:, 1 : self.first_slot : PER_CHUNK] == 0
        active = done[:, 2 : self.first_slot : PER_CHUNK] == 0
        return active & (dense if self.slots[s] == "dense" else ~dense)

    @property
    def first_slot(self) -> int:
        """Number of the first parameter of the first slot."""
        return 1 + PER_CHUNK * self.n_chunks

    def _chunk_mask(self, done: np.ndarray, k: int, which: int) -> np.ndarray:
        forced, here = self.forced(), 1 + PER_CHUNK * k
        everything = np.ones((len(done), 1), np.bool_)
        if which == 0:
            kinds = set(forced.values())
            return everything & np.array([v == forced[k] if k in forced else v in kinds for v in (1, 0)])
        if which == 1:
            return everything & np.array([True, k not in forced])
        active = done[:, here + 1, None] == 0
        if which == 2:
            return active | (np.arange(len(self.sizes_m)) == 0)
        if which == 3:
            dense = done[:, here, None] == 0
            return (active & dense) | (np.arange(len(self.sizes_n)) == 0)
        pm = np.array(self.sizes_m)[done[:, here + 2]]
        legal = pm[:, None] % np.array(self.drains) == 0
        return legal & (active | (np.arange(len(self.drains)) == legal.argmax(1)[:, None]))

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` choices (option indices), int64 [n, parameters]; every parameter is uniform over what its mask allows."""
        n_parameters = self.first_slot + PER_SLOT * len(self.slots)
        choice = np.zeros((n, n_parameters), np.int64)
        for i in range(n_parameters):
            legal = self.mask(choice, i)
            choice[:, i] = np.where(legal, rng.random(legal.shape), -1.0).argmax(1)
        return choice

    def size(self) -> int:
        """An upper bound of the number of choices."""
        return prod(len(p.options) for p in self.parameters())

    def enumerate(self) -> np.ndarray:
        """All choices, int64 [choices, parameters], of a tiny space."""
        n_parameters = self.first_slot + PER_SLOT * len(self.slots)
        rows = np.zeros((1, n_parameters), np.int64)
        for i in range(n_parameters):
            which, option = np.nonzero(self.mask(rows, i))
            rows = rows[which]
            rows[:, i] = option
        return rows

    def decode(self, choice: np.ndarray, layers: np.ndarray, slot_of_layer: tuple[int, ...]) -> Designs:
        """The designs of choice [B, parameters] for the network of `layers` (nba.cost.cycles.layer_table), whose
        layer i is potential layer slot_of_layer[i]; chunks without layers remain."""
        b, n_layers = len(choice), len(layers)
        values = np.empty_like(choice)
        for i, p in enumerate(self.parameters()):
            values[:, i] = np.array(p.options)[choice[:, i]]
        chunks = values[:, 1 : self.first_slot].reshape(b, self.n_chunks, PER_CHUNK)
        slots = values[:, self.first_slot :].reshape(b, len(self.slots), PER_SLOT)[:, list(slot_of_layer)]
        out = Designs(
            pp=values[:, 0].copy(),
            in_lanes=np.zeros(b, np.int64),
            out_lanes=np.zeros(b, np.int64),
            out_rows=np.zeros(b, np.int64),
            dense=chunks[:, :, 0].copy(),
            pm=chunks[:, :, 2].copy(),
            pn=chunks[:, :, 3].copy(),
            pq=chunks[:, :, 4].copy(),
            chunk=slots[:, :, 0].copy(),
            stage=np.zeros((b, n_layers), np.int64),
            position=np.broadcast_to(np.arange(n_layers), (b, n_layers)).copy(),
            main_rows=np.zeros((b, n_layers), np.int64),
            res_rows=np.zeros((b, n_layers), np.int64),
        )
        _complete(layers, slots[:, :, 1].copy(), slots[:, :, 2].copy(), *out.arrays())
        return out


@compiled
def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


@compiled
def _complete(
    layers: np.ndarray, offset: np.ndarray, policy: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray,
    out_lanes: np.ndarray, out_rows: np.ndarray, dense: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray,
    chunk: np.ndarray, stage: np.ndarray, position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray,
) -> None:  # fmt: skip
    """Legal drains, stages, ring sizes and streams of every design, in place.

    A consumer d stages after its producer needs d + 1 maps never to block it for good. Between chunks the policy of
    the consumer asks for more, or for the fewest rows that are legal, which may deadlock.
    """
    n_layers = layers.shape[0]
    for b in range(pp.size):
        for i in range(n_layers):
            k = chunk[b, i]
            pq[b, k] = _gcd(pq[b, k], pm[b, k])
        changed = True
        while changed:
            changed = False
            for i in range(n_layers):
                k = chunk[b, i]
                lanes = pn[b, k] if dense[b, k] == 1 else pm[b, k]
                for use in range(2):
                    tensor = layers[i, INPUT] if use == 0 else layers[i, RESIDUAL]
                    if tensor > 0:
                        p = chunk[b, tensor - 1]
                        legal = _gcd(pq[b, p], lanes if use == 0 else pq[b, k])
                        if legal != pq[b, p]:
                            pq[b, p] = legal
                            changed = True
        for i in range(n_layers):
            k = chunk[b, i]
            lanes = pn[b, k] if dense[b, k] == 1 else pm[b, k]
            before = 0
            for use in range(2):
                tensor = layers[i, INPUT] if use == 0 else layers[i, RESIDUAL]
                if tensor == 0:
                    in_lanes[b] = _gcd(in_lanes[b], lanes if use == 0 else pq[b, k])
                elif tensor > 0:
                    before = max(before, stage[b, tensor - 1])
            stage[b, i] = before + offset[b, i]
            for use in range(2):
                tensor = layers[i, INPUT] if use == 0 else layers[i, RESIDUAL]
                if tensor < 0:
                    continue
                height = layers[tensor - 1, ROWS] if tensor > 0 else layers[0, HEIGHT_IN]
                rows = height * (stage[b, i] - (stage[b, tensor - 1] if tensor > 0 else 0) + 1)
                if use == 1:
                    res_rows[b, i] = rows
                    continue
                least = max(layers[i, KERNEL_H], layers[i, STRIDE])
                if tensor == 0 or chunk[b, tensor - 1] != k:
                    rows = least if policy[b, i] == 0 else rows + height * (policy[b, i] - 1)
                main_rows[b, i] = max(rows, least)
        out_lanes[b] = pq[b, chunk[b, n_layers - 1]]
        out_rows[b] = layers[n_layers - 1, ROWS]


def completed(
    layers: np.ndarray, *, pp: np.ndarray, dense: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray,
    chunk: np.ndarray,
) -> Designs:  # fmt: skip
    """Engines (pp [B]; dense, pm, pn, pq [B, K]) and partitions (chunk [B, L]) as designs: with legal drains, network
    order, no stages, and rings of a map between chunks."""
    b, n_layers = chunk.shape
    out = Designs(
        pp=pp.copy(), in_lanes=np.zeros(b, np.int64), out_lanes=np.zeros(b, np.int64), out_rows=np.zeros(b, np.int64),
        dense=dense.copy(), pm=pm.copy(), pn=pn.copy(), pq=pq.copy(), chunk=chunk.copy(),
        stage=np.zeros((b, n_layers), np.int64),
        position=np.broadcast_to(np.arange(n_layers), (b, n_layers)).copy(),
        main_rows=np.zeros((b, n_layers), np.int64), res_rows=np.zeros((b, n_layers), np.int64),
    )  # fmt: skip
    _complete(layers, np.zeros((b, n_layers), np.int64), np.ones((b, n_layers), np.int64), *out.arrays())
    return out


def accelerator_of(network: Network, designs: Designs, b: int) -> Accelerator:
    """Design number `b` as an accelerator of `network`: chunks without layers are left out, and every chunk counts
    its stages from its lowest."""
    owner = designs.chunk[b].tolist()
    stage = designs.stage[b].tolist()
    chunks = []
    for k in sorted(set(owner)):
        mine = sorted((i for i, o in enumerate(owner) if o == k), key=lambda i: int(designs.position[b, i]))
        least = min(stage[i] for i in mine)
        dense = bool(designs.dense[b, k])
        chunks.append(
            Chunk(
                kind="dense" if dense else "depthwise",
                pm=int(designs.pm[b, k]),
                pn=int(designs.pn[b, k]) if dense else 1,
                pq=int(designs.pq[b, k]),
                jobs=tuple(Job(layer=i, stage=stage[i] - least) for i in mine),
            )
        )
    plain = Accelerator(pp=int(designs.pp[b]), chunks=tuple(chunks), rings=(), out_lanes=int(designs.out_lanes[b]))
    rows = {}
    for use in uses_of(network):
        _, consumer, port = use
        if consumer == HOST:
            rows[use] = int(designs.out_rows[b])
        else:
            rows[use] = int((designs.main_rows if port == "main" else designs.res_rows)[b, consumer])
    return Accelerator(
        pp=plain.pp, chunks=plain.chunks, rings=make_rings(network, plain, rows), out_lanes=plain.out_lanes
    )

# SPDX-License-Identifier: Apache-2.0
"""Energy: event counts and energies of programs and of the arrays of designs are the same numbers."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from nba.boards import HOROWITZ_45NM, get
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.accelerator_rules import columns_of
from nba.machine.designs import Designs, designs_of, layer_table
from nba.machine.energy import EVENTS, SHARES, energy_aj, energy_pj, event_counts, frame_events, power_w
from nba.machine.program import lower
from tests.strategies import NetworkLimits, Pair, random_pair
from tests.unit.hw_networks import DIGITS, NARROW, SMALL, TINY, WIDE

BOARD = get("pynq-z2")


def with_canonical_lanes(accelerator: Accelerator) -> Accelerator:
    """Lanes as the closed forms count them: the earlier uses of the same tensor on the same port of the same chunk."""
    place = accelerator.place()
    seen: dict[tuple[int, int, str], int] = {}
    lanes = {}
    for ring in sorted(accelerator.rings, key=lambda r: r.consumer):
        key = (ring.tensor, place.get(ring.consumer, -1), ring.port)
        lanes[ring.tensor, ring.consumer, ring.port] = seen.get(key, 0)
        seen[key] = seen.get(key, 0) + 1
    rings = (replace(r, lane=lanes[r.tensor, r.consumer, r.port]) for r in accelerator.rings)
    return replace(accelerator, rings=tuple(rings))


def both(network: Network, designs: Designs, accelerators: list[Accelerator]) -> None:
    events, shares = event_counts(layer_table(network, accelerators[0].packing), designs, BOARD)
    for b, accelerator in enumerate(accelerators):
        program = lower(network, accelerator)
        exact = asdict(frame_events(program))
        assert {name: exact[name] for name in EVENTS} == dict(zip(EVENTS, events[b].tolist(), strict=True))
        assert energy_aj(program, BOARD) == dict(zip(SHARES, shares[b].tolist(), strict=True))


@pytest.mark.parametrize(("bits", "seed"), [(8, seed) for seed in range(60)] + [(16, seed) for seed in range(20)])
def test_random_pairs(bits: int, seed: int) -> None:
    of_pair(random_pair(np.random.default_rng([31, seed]), NetworkLimits(bits=bits)))


@pytest.mark.parametrize("seed", range(40))
def test_random_pairs_that_pack_columns(seed: int) -> None:
    pair = random_pair(np.random.default_rng([31, seed]), NetworkLimits(narrow=True))
    assert pair.accelerator.packing > 1
    of_pair(pair)


@pytest.mark.parametrize("seed", range(20))
def test_random_pairs_with_shifts_and_pad_codes_per_channel(seed: int) -> None:
    of_pair(random_pair(np.random.default_rng([31, seed]), NetworkLimits(per_channel=True)))


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_random_pairs_of_any_columns(seed: int, narrow: bool) -> None:
    limits = NetworkLimits(any_columns=True, max_map=30, narrow=narrow)
    of_pair(random_pair(np.random.default_rng([33, seed]), limits))


def of_pair(pair: Pair) -> None:
    accelerator = with_canonical_lanes(pair.accelerator)
    both(pair.network, designs_of(pair.network, [accelerator]), [accelerator])


@pytest.mark.parametrize(
    ("network", "packing"),
    [(DIGITS, 1), (SMALL, 1), (TINY, 1), (WIDE, 1), (NARROW, 2), (NARROW, 4)],
    ids=["digits", "small", "tiny", "wide", "packed-2", "packed-4"],
)
def test_sampled_designs(network: Network, packing: int) -> None:
    slots = tuple(layer.operator.mixes for layer in network.layers)
    space = AcceleratorSpace(slots=slots, n_chunks=5, packing=packing, columns=columns_of(packing))
    designs = space.decode(
        space.sample(np.random.default_rng(5), 60), layer_table(network, packing), tuple(range(len(slots)))
    )  # fmt: skip
    both(network, designs, [accelerator_of(network, designs, b, packing) for b in range(60)])


def test_counts_of_a_layer_by_hand() -> None:
    """The stem of TINY on its own chunk: 5 x 5 x 6 outputs, 9 taps of one channel; pm 4 does not divide 6."""
    pair_network = replace(TINY, tensors=TINY.tensors[:2], layers=TINY.layers[:1])
    from nba.ir.accelerator import HOST, Chunk, Job, Ring

    chunk = Chunk(kind="dense", pm=4, pn=2, pq=2, jobs=(Job(layer=0),))
    rings = (Ring(tensor=0, consumer=0, rows=3), Ring(tensor=1, consumer=HOST, rows=1))
    program = lower(pair_network, Accelerator(pp=2, chunks=(chunk,), rings=rings, out_lanes=4))
    found = frame_events(program)
    groups = 5 * 3 * 2  # rows, pairs of columns, pairs of channel groups
    assert found.weight_reads == groups * 9
    assert found.macs == groups * 9 * 4 * 2 * 2
    assert found.by_widths == ((8, 8, found.macs),)
    assert found.edge_reads == groups * 9 * 2 + 5 * 3 * 2 * 2
    assert found.param_reads == groups * 2
    assert found.requants == groups * 2 * 2 * 2
    assert found.residuals == 0
    # 6 channels in words of 4 are two words of two halves: all four drain steps are written.
    assert found.edge_writes == 5 * 3 * 1 * 2 + 5 * 3 * 4 * 2
    assert (found.host_in_words, found.host_out_words) == (15, 30)


def test_energy_follows_the_table() -> None:
    pair = random_pair(np.random.default_rng(1))
    base = energy_aj(pair.program, BOARD)
    doubled = replace(HOROWITZ_45NM, host=replace(HOROWITZ_45NM.host, value=2600.0))
    found = energy_aj(pair.program, replace(BOARD, energy=doubled))
    assert found == {**base, "host": 2 * base["host"]}
    assert energy_pj(pair.program, BOARD) == sum(base.values()) / 1e6
    assert min(base.values()) > 0
    # 1 nJ every 100 cycles of 10 ns is 1 mW.
    assert power_w(1000.0, 100, replace(BOARD, clock_mhz=100.0)) == pytest.approx(0.001)


def test_every_entry_names_its_source() -> None:
    for name in ("multiply", "add_8", "add_32", "sram", "host"):
        entry = getattr(HOROWITZ_45NM, name)
        assert "ISSCC 2014" in entry.source
        assert entry.rule
        assert entry.value > 0
    product, plus, plus_bit, memory, stream = HOROWITZ_45NM.scaled()
    assert 64 * product == pytest.approx(200_000)
    assert plus + 8 * plus_bit == pytest.approx(30_000)
    assert plus + 32 * plus_bit == pytest.approx(100_000)
    assert 64 * memory * (32 * 1024 * 8) ** 0.5 == pytest.approx(20e6)
    assert 64 * stream == pytest.approx(1300e6)

# SPDX-License-Identifier: Apache-2.0
"""The mapper of machines that stream weights: paces, serial orders, plans, the search and the bound."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import InfeasibleError
from nba.explore.budgets import Budgets
from nba.explore.modulo import make_rings
from nba.explore.overlays import shares_of
from nba.explore.stream_bound import lower_bound, streaming_cycles
from nba.explore.stream_plan import Costs, bus_of, reader_words, seams
from nba.explore.stream_start import EngineCounts, Rough, first_plan, lanes_fit, paced, search_start, windows_by_height
from nba.explore.streaming import StreamEffort, bytes_per_cycle, map_streamed, streaming_memory
from nba.explore.turns import (
    Pace,
    fetch_order,
    first_stage,
    phases,
    rings_at,
    serial_rows,
    turns_at,
    virtual_times,
    with_turns,
)
from nba.ir.accelerator import HOST, Accelerator, WeightMemory
from nba.ir.network import Network
from nba.machine.check import check_accelerator
from nba.machine.program import lower
from nba.machine.schedule import schedule
from nba.machine.steady import steady_interval
from nba.machine.total import exact_cost
from nba.zoo.networks import Builder
from tests.strategies import NetworkLimits, random_accelerator, random_network, random_pair, streamed

ROW_PROGRAMS = "4a43904f654f 4d3094f545af 46bc03e7e479 04d72fdafab2 1fb6d5bd766b f573cf8cd118 9a17437ba97b 0fb525ec6dc1"
"""Digests of row programs of layers that take a whole frame, as they were before there were slices and durations."""
QUICK = StreamEffort(sift_steps=300, start_steps=600, starts=1, rounds=((2, 10), (1, 40)))


DEEP = NetworkLimits(min_layers=5, max_layers=9, max_map=12)
"""Enough layers for several rings between two chunks."""


def small(size: int = 16) -> Network:
    """Two blocks of an expansion, a filter per channel and a projection, a pool and a classifier."""
    net = Builder()
    here = net.add("dense", net.image(size), 8, 3, 2)
    for channels, stride in ((8, 1), (16, 2), (16, 1)):
        source = here
        here = net.add("dense", here, 32)
        here = net.add("depthwise", here, 32, 3, stride)
        joined = source if stride == 1 and net.tensors[source].channels == channels else None
        here = net.add("dense", here, channels, relu=False, residual=joined)
    here = net.add("dense", here, 64)
    here = net.add("avgpool", here, 64, net.tensors[here].height)
    net.add("dense", here, 20, relu=False)
    return net.network("small")


@pytest.mark.parametrize("seed", range(8))
def test_row_programs_are_what_they_were(seed: int) -> None:
    rng = np.random.default_rng([seed, 77])
    network, _ = random_network(rng)
    accelerator = random_accelerator(rng, network)
    slack, burst = Fraction(int(rng.integers(0, 7)), int(rng.integers(1, 5))), int(rng.integers(1, 5))
    trial, rows = with_turns(network, accelerator, slack, burst)
    text = repr(
        (
            phases(network, slack, burst), [[(j.layer, j.stage) for j in c.jobs] for c in trial.chunks],
            [[(t.job, t.rows, t.late) for t in c.turns] for c in trial.chunks], sorted(rows.items()),
        )
    )  # fmt: skip
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == ROW_PROGRAMS.split()[seed]
    assert rows == serial_rows(network, phases(network, slack, burst), burst)


def in_turns_of_slices(seed: int) -> tuple[Network, Accelerator]:
    """A random design with random slices and streamed weights whose row programs have random paces; every second has
    windows before the chained layers, and rings that share memory."""
    rng = np.random.default_rng([seed, 5])
    while True:
        network, _ = random_network(rng, DEEP if seed % 2 else NetworkLimits())
        accelerator = streamed(rng, network, random_accelerator(rng, network, max_chunks=2 if seed % 2 else 4))
        jobs = {job.layer: (k, job) for k, c in enumerate(accelerator.chunks) for job in c.jobs}
        chained = int(rng.integers(0, len(network.layers) + 1))
        windows = [i for i in seams(network) if i < chained and rng.random() < 0.6] if seed % 2 else []
        paces: list[Pace] = []
        for i in range(len(network.layers)):
            k, job = jobs[i]
            span, after = Fraction(1), None
            if windows and i < chained:
                before = [w for w in (0, *windows) if w < i]
                after = before[-1] if i in windows else None
                span = Fraction(int(rng.integers(1, 9)), 32) if i in (0, *windows) else paces[i - 1].duration
            pieces = job.slices if job.slices > 1 or job.streamed else 0
            late = i >= chained
            paces.append(
                Pace(
                    slack=Fraction(int(rng.integers(0, 12)), 4), slices=pieces, chain=k if late else None,
                    duration=Fraction(int(rng.integers(1, 9)), 64 if seed % 2 else 8) if late else span,
                    lasts=Fraction(int(rng.integers(0, 3)), 16), after=after,
                )
            )  # fmt: skip
        times = virtual_times(network, paces)
        readers = [job.layer for c in accelerator.chunks if any(j.streamed for j in c.jobs) for job in c.jobs]
        first = first_stage(times, readers) if readers else None
        chunks = tuple(
            turns_at(times, c, first if any(j.streamed for j in c.jobs) else None) for c in accelerator.chunks
        )
        memory = accelerator.memory and replace(accelerator.memory, order=fetch_order(times, chunks))
        bare = replace(accelerator, chunks=chunks, memory=memory)
        rows = rings_at(network, times)
        apart = int(rng.integers(0, 3)) * times.ticks // 50
        shares = shares_of(network, bare, times, rows, apart) if seed % 2 else None
        found = replace(bare, rings=make_rings(network, bare, rows, shares))
        if not check_accelerator(network, found):
            return network, found


@pytest.mark.parametrize("group", range(7))
def test_serial_orders_never_deadlock(group: int) -> None:
    """Rings of what the serial execution holds, and weights read in its order, suffice with any paces."""
    for seed in range(10 * group, 10 * group + 10):
        network, accelerator = in_turns_of_slices(seed)
        program = lower(network, accelerator)
        assert schedule(program, 4).output_cycle.size == 4
        assert steady_interval(program) > 0


def test_some_of_these_have_windows_and_share_memory() -> None:
    """What the test above is about."""
    found = [in_turns_of_slices(seed)[1] for seed in range(1, 70, 2)]
    assert sum(any(ring.share for ring in one.rings) for one in found) >= 10
    apart = [job for one in found for c in one.chunks if not c.mixes for job in c.jobs]
    assert sum(job.streamed for job in apart) >= 10


def test_windows_follow_each_other() -> None:
    """The layers of a window begin when the time of the one before is over, and a frame enters in the first window."""
    network = small()
    assert seams(network) == (1, 4, 5, 6, 7, 10, 11, 12)
    third = Pace(slack=Fraction(0), duration=Fraction(1, 3))
    paces = [third] * len(network.layers)
    paces[4] = replace(third, after=0)
    paces[7] = replace(third, after=4)
    times = virtual_times(network, paces)
    assert times.begin(4) == times.begin(0) + times.ticks // 3
    assert times.begin(7) == times.begin(4) + times.ticks // 3
    assert times.rows[0][0, -1] < times.ticks // 3
    assert windows_by_height(network, len(network.layers)) == (6, 12)
    held, whole = rings_at(network, times), rings_at(network, virtual_times(network, [Pace()] * len(network.layers)))
    assert held[4, 4, "main"] > whole[4, 4, "main"]


def test_virtual_times_of_slices() -> None:
    """A slice is computed at one time; slices before the last need the whole map; a chain has no two layers at once."""
    network = small()
    n = len(network.layers)
    slow = [Pace(slack=Fraction(0))] * (n - 1)
    times = virtual_times(network, [*slow, Pace(slack=Fraction(0), slices=4, duration=Fraction(1, 2), chain=0)])
    rows = times.rows[n]
    assert rows.shape == (4, 1)
    assert np.all(np.diff(rows[:, 0]) == times.ticks // 8)
    assert rows[0, 0] == times.rows[n - 1][-1, -1]
    half = [Pace(slices=2, duration=Fraction(1, 4), chain=0)] * 3
    after = virtual_times(network, [*slow[: n - 3], *half])
    assert all(after.begin(i + 1) - after.begin(i) >= after.ticks // 4 for i in range(n - 3, n - 1))
    held = rings_at(network, after)
    assert held[n - 3, n - 3, "main"] >= network.tensors[n - 3].height
    assert held[n, HOST, "main"] >= 1


def test_the_port_is_that_of_the_board() -> None:
    zc706 = get("zc706")
    memory = streaming_memory(zc706)
    assert memory == WeightMemory(bus_bits=256, latency=100, burst=16)
    half = streaming_memory(zc706, 0.5)
    assert half is not None
    assert half.bus_bits == 128
    assert streaming_memory(zc706, 0.5, 9) == half
    both = streaming_memory(get("zcu102"), ports=2)
    assert both is not None
    assert both.bus_bits == 256
    assert streaming_memory(get("generic-xc7")) is None
    assert bus_of(31) == 0


def test_the_port_moves_as_much_in_a_second_at_a_faster_clock() -> None:
    """8 bytes per cycle and 60 cycles at 100 MHz are 5 and 96 at 160 MHz; a slower clock makes a port no wider."""
    board = get("pynq-z2")
    assert (board.clock_mhz, bytes_per_cycle(board, 1), bytes_per_cycle(board, 2)) == (160.0, 5, 10)
    assert streaming_memory(board) == WeightMemory(bus_bits=32, latency=96, burst=16)
    assert streaming_memory(board, ports=2) == WeightMemory(bus_bits=64, latency=96, burst=16)
    for clock in (100.0, 50.0):
        slow = replace(board, clock_mhz=clock)
        assert streaming_memory(slow) == WeightMemory(bus_bits=64, latency=60, burst=16)
    assert streaming_memory(replace(board, clock_mhz=100.5)) == WeightMemory(bus_bits=32, latency=61, burst=16)


def tight(network: Network, dsp: int, bram: float) -> Budgets:
    return Budgets(dsp=dsp, bram=bram, lut=53_200)


def test_maps_within_budgets_and_streams() -> None:
    """A budget of block RAM that does not hold the weights: legal, within budgets, the same for the same seed."""
    network, platform = small(), get("pynq-z2")
    memory = WeightMemory(bus_bits=64, latency=60)
    budgets = tight(network, 64, 20)
    told: list[tuple[int, int]] = []
    found = map_streamed(
        network,
        platform,
        budgets,
        memory=memory,
        effort=QUICK,
        progress=lambda done, total, _: told.append((done, total)),
    )
    assert check_accelerator(network, found.accelerator) == ()
    assert all(part <= 1 for part in budgets.excess_of(found.cost).values())
    program = lower(network, found.accelerator)
    assert found.cost == exact_cost((program,), platform)
    assert program.fetches
    assert told[-1][0] == told[-1][1]
    assert found.certificate is not None
    assert found.certificate.lower_bound_cycles <= found.cost.interval_cycles
    again = map_streamed(network, platform, budgets, memory=memory, effort=QUICK)
    assert again == found


def test_progress_ends_whole_whatever_was_not_tried() -> None:
    """Once, at the end; here there are fewer plans than the effort would keep."""
    told: list[tuple[int, int]] = []
    map_streamed(
        small(), get("pynq-z2"), tight(small(), 64, 40), memory=WeightMemory(bus_bits=64, latency=60),
        effort=StreamEffort(sift_steps=100, start_steps=100, starts=1, rounds=((50, 2), (1, 5))),
        progress=lambda done, total, _: told.append((done, total)),
    )  # fmt: skip
    assert [n for n, (done, total) in enumerate(told) if done == total] == [len(told) - 1]


def test_budgets_that_nothing_meets_are_named() -> None:
    with pytest.raises(InfeasibleError, match="BRAM"):
        map_streamed(
            small(), get("pynq-z2"), tight(small(), 64, 1), memory=WeightMemory(bus_bits=64, latency=60), effort=QUICK
        )


@pytest.mark.parametrize("seed", [21, 22, 38, 39, *range(100, 106)])
def test_designs_of_random_networks_are_legal(seed: int) -> None:
    """Of all operators and widths, narrow products among them."""
    rng = np.random.default_rng([seed, 4242])
    network, _ = random_network(rng)
    whole = tuple(replace(layer, weight_bits=layer.weight_store_bits) for layer in network.layers)
    network = replace(network, layers=whole)
    budgets, memory = Budgets(dsp=220, bram=140, lut=53_200), WeightMemory(bus_bits=64, latency=60)
    effort = StreamEffort(sift_steps=100, start_steps=100, starts=1, rounds=((2, 8), (1, 8)))
    found = map_streamed(network, get("pynq-z2"), budgets, memory=memory, effort=effort)
    assert check_accelerator(network, found.accelerator) == ()
    assert found.cost == exact_cost((lower(network, found.accelerator),), get("pynq-z2"))


def test_start_plans_are_legal() -> None:
    network, platform = small(), get("pynq-z2")
    costs = Costs(network, 64)
    budgets = tight(network, 64, 20)
    rough = Rough(costs, platform, budgets)
    shape = EngineCounts(pp=4, front=1, front_other=1, late=1, late_other=1)
    value, plan = search_start(rough, first_plan(costs, shape, budgets), 2000, np.random.default_rng(1))
    plan = paced(rough, plan)[0]
    assert lanes_fit(costs, plan.engines, plan.owner)
    assert max(rough.loads(plan)) <= value
    assert rough.sizes.of(plan, rough.rows(plan.cut, plan.windows))[0] <= 64
    for i, pieces in enumerate(plan.pieces):
        assert pieces == 0 or pieces in costs.pieces_of(i, plan.engines[plan.owner[i]], reader_words(costs, plan, i))


@pytest.mark.parametrize("seed", range(40))
def test_the_bound_is_below_every_design(seed: int) -> None:
    """Random designs, whose resources are the budgets, against their exact rate."""
    rng = np.random.default_rng([seed, 9])
    pair = random_pair(rng)
    network, accelerator = pair.network, streamed(rng, pair.network, pair.accelerator)
    program, platform = lower(network, accelerator), get("zc706")
    cost = exact_cost((program,), platform)
    budgets = Budgets(dsp=max(1, cost.dsp), bram=max(0.5, cost.bram), lut=cost.lut)
    assert lower_bound(network, platform, budgets, accelerator.memory) <= ceil(steady_interval(program))


def test_the_bound_knows_each_budget() -> None:
    network, platform, memory = small(32), get("pynq-z2"), WeightMemory(bus_bits=32, latency=60)
    roomy = Budgets(dsp=64, bram=100, lut=53_200)
    base = lower_bound(network, platform, roomy, memory)
    assert lower_bound(network, platform, roomy.model_copy(update={"dsp": 32}), memory) > base
    assert lower_bound(network, platform, roomy.model_copy(update={"lut": 500}), memory) > base
    assert streaming_cycles(network, platform, roomy, memory) == 0
    scarce = Budgets(dsp=1, bram=0.5)
    assert streaming_cycles(network, replace(platform, min_block_bits=1), scarce, memory) > 0
    assert streaming_cycles(network, platform, roomy, None) == 0

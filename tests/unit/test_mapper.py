# SPDX-License-Identifier: Apache-2.0
"""The mapper against the exact schedule, the legality table and the exact resources."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError, InfeasibleError
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, find_accelerator, map_certified
from nba.explore.finalise import judged, reorder, turned_shares
from nba.explore.modulo import make_rings, ring_rows, timetable, with_order, work_bound
from nba.explore.rings import RingMemory, RingSearch, speed
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.ir.accelerator import Accelerator, Job, Ring
from nba.ir.network import Network
from nba.machine.check import check_accelerator
from nba.machine.designs import layer_table
from nba.machine.kernels import BLOCK_BITS
from nba.machine.program import lower
from nba.machine.resources import predict
from nba.machine.steady import steady_interval
from nba.machine.total import exact_cost
from tests.unit.hw_networks import DIGITS, SMALL, TINY, blocks_network

pytestmark = pytest.mark.slow

QUICK = Effort(scout_steps=20, climb_steps=100, finalists=2, reorder_steps=40)
BOARD = get("pynq-z2")


def random_accelerators(network: Network, n: int, seed: int) -> list[Accelerator]:
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in network.layers))
    choice = space.sample(np.random.default_rng(seed), n)
    choice[:, space.first_slot + 2 :: 3] = 1
    designs = space.decode(choice, layer_table(network), tuple(range(len(network.layers))))
    return [accelerator_of(network, designs, b) for b in range(n)]


@pytest.mark.parametrize("network", [DIGITS, SMALL, TINY], ids=["digits", "small", "tiny"])
def test_timetable_reaches_the_work_bound_exactly(network: Network) -> None:
    for accelerator in random_accelerators(network, 15, seed=3):
        interval = work_bound(network, accelerator)
        table = timetable(network, accelerator, interval)
        ordered = with_order(accelerator, table)
        done = replace(ordered, rings=make_rings(network, ordered, ring_rows(network, table)))
        check_accelerator(network, done)
        assert speed(network, done).interval_cycles == interval
        assert steady_interval(lower(network, done)) == interval


def rings(network: Network, accelerator: Accelerator) -> tuple[Ring, ...]:
    """The smallest rings with which the exact schedule is as fast as with unlimited ones."""
    search = RingSearch(network, accelerator)
    return search.with_rows(search.shrink(search.high, search.exact(search.high))).rings


def test_rings_are_minimal_and_as_fast_as_unlimited_ones() -> None:
    for accelerator in random_accelerators(SMALL, 8, seed=5):
        found = replace(accelerator, rings=rings(SMALL, accelerator))
        search = RingSearch(SMALL, accelerator)
        goal = search.exact(search.high)
        assert speed(SMALL, found) == goal
        check_accelerator(SMALL, found)
        rows = {(r.tensor, r.consumer, r.port): r.rows for r in found.rings}
        for use, size in rows.items():
            if size > search.low[use]:
                assert not search.meets({**rows, use: size - 1}, goal), use


@pytest.mark.parametrize("block_luts", [0, 128])
def test_memory_of_rings_is_that_of_the_whole_design(block_luts: int) -> None:
    platform, rng = get("zc706"), np.random.default_rng(block_luts)
    accelerator = replace(find_accelerator(SMALL, platform, Budgets(dsp=40, bram=60))[0], block_luts=block_luts)
    search = RingSearch(SMALL, accelerator)
    memory = RingMemory(lower(SMALL, accelerator), platform)
    sizes = set()
    for _ in range(20):
        rows = {use: int(rng.integers(1, 60)) for use in search.uses}
        program = lower(SMALL, search.with_rows(rows))
        blocks = predict(program, platform).bram18
        assert memory.bram18(rows) == blocks
        bits = sum(e.depth_words * e.lanes * e.code_bits * program.banks for e in program.edges)
        assert memory.size(rows) == blocks * BLOCK_BITS + bits // 4
        sizes.add(blocks)
    assert len(sizes) > 5


def test_rings_of_row_programs_hold_parts_of_maps() -> None:
    shares = turned_shares(DIGITS)
    assert shares.shape == (len(DIGITS.layers), 2, 1)
    residual = [layer.residual is not None for layer in DIGITS.layers]
    assert (shares[:, 0] > 0).all()
    assert ((shares[:, 1, 0] > 0) == residual).all()
    for i, layer in enumerate(DIGITS.layers):
        height = DIGITS.tensors[layer.input].height
        assert shares[i, 0, 0] * height >= min(layer.kernel_h, height)
    assert shares[0, 0, 0] < 1


def test_rings_inside_a_chunk_hold_whole_maps() -> None:
    accelerator = random_accelerators(TINY, 1, seed=0)[0]
    place = accelerator.place()
    for ring in rings(TINY, accelerator):
        if ring.tensor and ring.consumer >= 0 and place[ring.tensor - 1] == place[ring.consumer]:
            assert ring.rows >= TINY.tensors[ring.tensor].height


def test_rings_name_a_program_that_no_rings_can_run() -> None:
    accelerator = next(a for a in random_accelerators(DIGITS, 20, seed=1) if len(a.chunks[0].jobs) > 3)
    backwards = tuple(Job(layer=j.layer) for j in reversed(accelerator.chunks[0].jobs))
    wrong = replace(accelerator, chunks=(replace(accelerator.chunks[0], jobs=backwards), *accelerator.chunks[1:]))
    with pytest.raises(DeadlockError):
        rings(DIGITS, wrong)


@pytest.mark.parametrize(("dsp", "bram", "at_least"), [(60, 25, 1.10), (220, 40, 1.00)])
def test_digits_mapping(dsp: int, bram: float, at_least: float) -> None:
    accelerator, cost = find_accelerator(DIGITS, BOARD, Budgets(dsp=dsp, bram=bram), seed=1, effort=QUICK)
    check_accelerator(DIGITS, accelerator)
    program = lower(DIGITS, accelerator)
    used = predict(program, BOARD)
    assert (cost.dsp, cost.bram) == (used.dsp, used.bram)
    assert cost.dsp <= dsp
    assert cost.bram <= bram
    assert cost.interval_cycles == steady_interval(program)
    assert len(accelerator.chunks) >= 2
    in_order = [sorted(j.layer for j in c.jobs) for c in accelerator.chunks]
    assert any(b - a > 1 for jobs in in_order for a, b in pairwise(jobs)), "only consecutive layers"
    assert cost.first_output_latency_cycles > cost.interval_cycles, "no two frames in flight"
    # MACs per DSP block and cycle: dense layers make up to two.
    macs = sum(DIGITS.macs(i) for i in range(len(DIGITS.layers)))
    assert macs / cost.interval_cycles / dsp >= at_least


def test_mapping_is_reproducible_and_reports_progress() -> None:
    notes: list[str] = []
    first = find_accelerator(
        SMALL, BOARD, Budgets(dsp=40, bram=20), seed=7, effort=QUICK, progress=lambda d, t, n: notes.append(n)
    )
    again = find_accelerator(SMALL, BOARD, Budgets(dsp=40, bram=20), seed=7, effort=QUICK)
    assert first == again
    assert notes


def test_columns_are_those_that_were_asked_for() -> None:
    """Also where a step of the search varies or lowers them."""
    budgets = Budgets(dsp=40, bram=20)
    for columns in ((3,), (5, 7)):
        accelerator, cost = find_accelerator(
            SMALL, BOARD, budgets, seed=7, columns=columns, effort=QUICK, objective="edp"
        )
        assert accelerator.pp in columns
        assert exact_cost((lower(SMALL, accelerator),), BOARD) == cost
    found = map_certified(SMALL, BOARD, budgets, seed=7, columns=(3, 7), effort=QUICK)
    assert found.accelerator.pp in (3, 7)
    assert found.certificate is not None
    assert found.certificate.lower_bound_cycles <= found.cost.interval_cycles


def test_a_start_is_not_lost() -> None:
    budgets = Budgets(dsp=40, bram=20)
    start, _ = find_accelerator(SMALL, BOARD, budgets, seed=7, effort=QUICK)
    none = Effort(scout_steps=0, climb_steps=0, finalists=3, reorder_steps=0)
    _, without = find_accelerator(SMALL, BOARD, budgets, seed=1, effort=none)
    _, with_start = find_accelerator(SMALL, BOARD, budgets, seed=1, effort=none, start=start)
    assert with_start.interval_cycles <= without.interval_cycles


def test_latency_objective_trades_interval_for_latency() -> None:
    budgets = Budgets(dsp=100, bram=30)
    _, fast = find_accelerator(DIGITS, BOARD, budgets, seed=1, effort=QUICK)
    _, short = find_accelerator(DIGITS, BOARD, budgets, seed=1, effort=QUICK, objective="latency")
    assert short.first_output_latency_cycles < fast.first_output_latency_cycles


@pytest.mark.parametrize(
    ("budgets", "name"), [(Budgets(dsp=1, bram=50), "budgets.dsp"), (Budgets(dsp=50, bram=0.5), "budgets.bram")]
)
def test_impossible_budgets_are_named(budgets: Budgets, name: str) -> None:
    with pytest.raises(InfeasibleError, match=name) as caught:
        find_accelerator(DIGITS, BOARD, budgets, effort=QUICK)
    assert "closest design" in str(caught.value)
    assert "needs" in str(caught.value)
    assert "with an interval of" in str(caught.value)


def test_certificate_of_a_digits_mapping() -> None:
    found = map_certified(DIGITS, BOARD, Budgets(dsp=120, bram=40), seed=1, effort=QUICK)
    assert found.certificate is not None
    assert found.certificate.optimal
    assert found.certificate.lower_bound_cycles == found.certificate.interval_cycles == found.cost.interval_cycles
    tight = map_certified(DIGITS, BOARD, Budgets(dsp=120, bram=22), seed=1, effort=QUICK)
    assert tight.cost.bram <= 22
    assert tight.certificate is not None
    assert tight.certificate.lower_bound_cycles <= found.cost.interval_cycles <= tight.cost.interval_cycles
    assert tight.certificate.optimal == (tight.certificate.lower_bound_cycles == tight.cost.interval_cycles)
    latency = map_certified(SMALL, BOARD, Budgets(dsp=40, bram=20), seed=1, effort=QUICK, objective="latency")
    assert latency.certificate is None


def test_row_programs_fit_where_whole_maps_do_not() -> None:
    """The digits with less block RAM than rings of whole maps take at full speed: hardly slower than with ample block
    RAM."""
    ample = map_certified(DIGITS, get("zc706"), Budgets(dsp=60, bram=40), effort=QUICK)
    tight = map_certified(DIGITS, get("zc706"), Budgets(dsp=60, bram=18), effort=QUICK)
    assert not any(chunk.turns for chunk in ample.accelerator.chunks)
    assert all(chunk.turns for chunk in tight.accelerator.chunks)
    assert tight.cost.bram <= 18 < ample.cost.bram
    assert tight.cost == exact_cost((lower(DIGITS, tight.accelerator),), get("zc706"))
    assert tight.cost.interval_cycles <= 1.15 * ample.cost.interval_cycles
    assert check_accelerator(DIGITS, tight.accelerator) == ()


def test_weights_beyond_the_addresses_of_a_memory_are_refused_in_words() -> None:
    network = blocks_network(((256, 1, 3, 1),), size=2, stem=256, head=400)
    with pytest.raises(InfeasibleError, match=r"budgets\.dsp: 3 .*weight words is 174240; legal: 1\.\.65535"):
        find_accelerator(network, get("zc706"), Budgets(dsp=3, bram=100), effort=QUICK)


def test_row_programs_keep_their_order() -> None:
    """Its turns name jobs by number, so nothing may move these."""
    found = map_certified(DIGITS, get("zc706"), Budgets(dsp=60, bram=18), effort=QUICK)
    start = judged(DIGITS, found.accelerator, speed(DIGITS, found.accelerator), get("zc706"))
    budgets = Budgets(dsp=60, bram=18)
    rng = np.random.default_rng(0)
    assert reorder(DIGITS, start, get("zc706"), budgets, "interval", 50, rng) is start

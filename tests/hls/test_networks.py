# SPDX-License-Identifier: Apache-2.0
"""HLS == integer reference end to end: random networks on random accelerators, and the whole path of a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nba.core.errors import DeadlockError
from nba.core.tools import run_tool
from nba.emit.hls import vector_files
from nba.emit.memories import other_weights
from nba.ir.reference import run
from nba.machine.check import check_accelerator
from nba.machine.program import Program, lower
from nba.machine.schedule import schedule
from nba.verify.hls import verify_hls
from nba.zoo.weights import random_codes
from tests.hls.bench import Case, Group, compile_group, design_of, render, write_bundle
from tests.strategies import NetworkLimits, Pair, cut, parted, random_pair, sliced, streamed

pytestmark = pytest.mark.xdist_group("hls-networks")

SEED = 20
PAIRS = 20
REVERSED_PAIRS = 6
WIDE_PAIRS = 6
"""Of the random designs: those with codes of 16 bits, after the others."""
PACKED_PAIRS = 12
"""After these: those that pack columns."""
CHANNEL_PAIRS = 8
"""After these: those with shifts and pad codes per channel, half of them with codes of 16 bits."""
COLUMN_PAIRS = 12
"""After these: any number of columns, and strides up to 4; every second one packs columns."""
SLICED_PAIRS = 12
"""After these: slices, every second time in turns of a few rows, every fourth in late ones; every third packs columns,
every fourth has shifts and pad codes per channel."""
SLICED = 7000
"""Seeds from here on have slices."""
STREAMED_PAIRS = 12
"""After these: the same with weights from external memory, other weights in which give other outputs."""
STREAMED = 8000
"""Seeds from here on stream weights."""
PARTED_PAIRS = 8
"""After these: rings whose rows hold the channels of a slice; every second has turns of a few rows, every third weights
from external memory."""
PARTED = 9000
"""Seeds from here on have such rings."""
IMAGES = 5


def random_case(seed: int, limits: NetworkLimits | None = None) -> Case:
    """A random network on a random accelerator, with random inputs."""
    rng = np.random.default_rng([SEED, seed])
    pair = sliced_pair(rng, limits, seed) if seed >= SLICED else random_pair(rng, limits)
    x = random_codes(rng, pair.network.tensors[0], IMAGES)
    design = design_of(f"random {seed}", pair.network, pair.weights, pair.accelerator)
    expected = run(pair.network, pair.weights, x)
    return Case(name=design.name, design=design, weights=pair.weights, x=x, expected=expected)


def sliced_pair(rng: np.random.Generator, limits: NetworkLimits | None, seed: int) -> Pair:
    """A random pair with slices in a job of several rows."""
    while True:
        pair = random_pair(rng, limits)
        accelerator = sliced(rng, pair.network, pair.accelerator)
        if seed >= PARTED:
            accelerator = parted(rng, pair.network, accelerator)
            if not any(ring.parts > 1 for ring in accelerator.rings):
                continue
        jobs = [job for chunk in accelerator.chunks for job in chunk.jobs]
        if not any(job.slices > 1 and pair.network.result(job.layer).height > 1 for job in jobs):
            continue
        if seed % 2:
            chunks = tuple([cut(rng, pair.network, chunk, late=seed % 4 == 3) for chunk in accelerator.chunks])
            accelerator = replace(accelerator, chunks=chunks)
        if STREAMED <= seed < PARTED or (seed >= PARTED and seed % 3 == 0):
            accelerator = streamed(rng, pair.network, accelerator)
            if accelerator.memory is None or check_accelerator(pair.network, accelerator):
                continue
        program = lower(pair.network, accelerator)
        if accelerator.memory is not None and not _matter(rng, pair, program):
            continue
        try:
            schedule(program, IMAGES)
        except DeadlockError:
            continue
        return replace(pair, accelerator=accelerator, program=program)


def _matter(rng: np.random.Generator, pair: Pair, program: Program) -> bool:
    """Whether other weights in external memory give other outputs."""
    x = random_codes(rng, pair.network.tensors[0], 1)
    others = other_weights(program, pair.weights)
    return not np.array_equal(run(pair.network, pair.weights, x), run(pair.network, others, x))


SEEDS: dict[int, NetworkLimits | None] = {
    **dict.fromkeys(range(PAIRS)),
    **{3000 + i: NetworkLimits(bits=16) for i in range(WIDE_PAIRS)},
    **{4000 + i: NetworkLimits(narrow=True) for i in range(PACKED_PAIRS)},
    **{5000 + i: NetworkLimits(per_channel=True, bits=8 << i % 2) for i in range(CHANNEL_PAIRS)},
    **{6000 + i: NetworkLimits(any_columns=True, max_map=20, narrow=i % 2 == 1) for i in range(COLUMN_PAIRS)},
    **{
        SLICED + i: NetworkLimits(max_channels=24, narrow=i % 3 == 2, per_channel=i % 4 == 1)
        for i in range(SLICED_PAIRS)
    },
    **{
        STREAMED + i: NetworkLimits(max_channels=24, narrow=i % 3 == 2, per_channel=i % 4 == 1)
        for i in range(STREAMED_PAIRS)
    },
    **{PARTED + i: NetworkLimits(max_channels=24, narrow=i % 3 == 2) for i in range(PARTED_PAIRS)},
}


@pytest.fixture(scope="module")
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Group:
    """The designs of this run, in one program."""
    chosen = [seed for seed in SEEDS if any(_runs(item, seed) for item in request.session.items)]
    cases = tuple(random_case(seed, SEEDS[seed]) for seed in chosen)
    return compile_group(tmp_path_factory.mktemp("networks"), cases)


def _runs(item: pytest.Item, seed: int) -> bool:
    spec = getattr(item, "callspec", None)
    return (
        getattr(item, "originalname", "") == "test_random_design" and spec is not None and spec.params["seed"] == seed
    )


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_design(group: Group, seed: int) -> None:
    (index,) = (i for i, case in enumerate(group.cases) if case.name == f"random {seed}")
    case = group.cases[index]
    np.testing.assert_array_equal(group.outputs(index), case.expected)
    if case.design.accelerator.memory is not None:
        program = lower(case.design.network, case.design.accelerator)
        others = other_weights(program, case.weights)
        expected = run(case.design.network, others, case.x)
        np.testing.assert_array_equal(group.outputs(index, image=others), expected)


def test_rows_of_a_step_are_independent(tmp_path: Path) -> None:
    """The synthesis pragmas claim that the units of one step do not depend on each other: any order gives the same."""
    cases = tuple(random_case(1000 + i) for i in range(REVERSED_PAIRS))
    cases += tuple(random_case(4000 + i, NetworkLimits(narrow=True)) for i in range(REVERSED_PAIRS))
    cases += tuple(
        random_case(seed, NetworkLimits(max_channels=24)) for seed in (SLICED + 100, STREAMED + 100, PARTED + 100)
    )
    group = compile_group(tmp_path, cases, defines=("NBA_REVERSED",))
    for i, case in enumerate(cases):
        np.testing.assert_array_equal(group.outputs(i), case.expected, err_msg=case.name)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_bundle_simulates_itself(bits: int, tmp_path: Path) -> None:
    """`verify_hls`, and `make csim` inside the folder: both pass, and both see one wrong expected code."""
    case = random_case(2000, NetworkLimits(bits=bits))
    network = case.design.network
    write_bundle(tmp_path, render(case.design, case.weights))
    result = verify_hls(tmp_path / "hls", network, case.x, case.expected, tmp_path / "work")
    assert (result.images, result.mismatches) == (IMAGES, 0)
    wrong = case.expected.copy()
    wrong[-1, 0, 0, 0] ^= 1
    for expected, status in ((case.expected, 0), (wrong, 2)):
        for path, data in vector_files(network, case.x, expected).items():
            (tmp_path / path).write_bytes(data)
        command = ["make", "csim"]
        done = run_tool(command, cwd=tmp_path / "hls", check=False)
        assert done.returncode == status, done.output
        assert ("every output equal" in done.output) == (status == 0)

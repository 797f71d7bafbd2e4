# SPDX-License-Identifier: Apache-2.0
"""Cases of the files that stages hand to each other: designs, networks, weights, images, results of searches."""

from __future__ import annotations

import io
import json
import random
import shutil
import tempfile
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nba.boards.schema import parse_board
from nba.flow.artifacts import load_classes, load_images, load_network, read_part, save_images, save_network
from nba.flow.load_layers import load_nests
from nba.flow.stages.emit import emit
from nba.ir.decode import decode
from nba.ir.design import Design
from nba.ir.network import Weights, weights_digest
from nba.ir.shared import SharedNetworks, load_shared, save_shared
from nba.learn.space.architecture_file import architecture_from_json, architecture_json
from nba.learn.space.network import Architecture, skeleton
from nba.machine.design_file import add_defaults, load_design, save_design
from tests.fuzz import mutate
from tests.fuzz.outcome import Target
from tests.fuzz.specs import board_texts
from tests.modes import modes_case, shared_case
from tests.spaces import DIGITS_SPACE
from tests.strategies import NetworkLimits, cut, random_pair, sliced
from tests.tiny import tiny_design

Case = tuple[Design, Weights]


@cache
def cases() -> tuple[Case, ...]:
    """Small designs, the last one of several modes."""
    design, weights, _ = modes_case(1, 3)
    return (*(tiny_design(seed) for seed in (3, 4, 5)), (design, weights))


@cache
def in_slices() -> Case:
    """A small design with a row program in every chunk and slices in some of its jobs."""
    for seed in range(100):
        rng = np.random.default_rng([seed, 34])
        pair = random_pair(rng, NetworkLimits(max_channels=24))
        accelerator = sliced(rng, pair.network, pair.accelerator)
        if any(job.slices > 1 for chunk in accelerator.chunks for job in chunk.jobs):
            chunks = tuple([cut(rng, pair.network, chunk) for chunk in accelerator.chunks])
            design = replace(
                tiny_design()[0], network=pair.network, accelerator=replace(accelerator, chunks=chunks),
                weights_sha256=weights_digest(pair.weights),
            )  # fmt: skip
            return _costed(design), pair.weights
    raise AssertionError("none of a hundred pairs has slices")


@cache
def for_own_board() -> Case:
    """A small design for a board that is no built-in one, which it carries."""
    design, weights = tiny_design(6)
    board = parse_board(board_texts()[-1], where="board")
    return replace(design, platform=board.name, board=board), weights


def arrays(weights: Weights, n_layers: int) -> dict[str, np.ndarray]:
    """The content of weights.npz."""
    found: dict[str, np.ndarray] = {}
    for i, lw in enumerate(weights):
        if i < n_layers:
            found[f"w{i}"] = lw.weight
        found |= {f"b{i}": lw.bias, f"m{i}": lw.mult}
    return found


def _sampled(rng: random.Random, folder: Path) -> None:
    (folder / "sample").write_text(str(rng.random()))


def _sample(folder: Path) -> float:
    return float((folder / "sample").read_text())


def _design(rng: random.Random, folder: Path) -> None:
    design, weights = rng.choice((*cases(), in_slices(), for_own_board()))
    save_design(design, weights, folder)
    pool = (
        mutate.VALUES
        if rng.random() < 0.5
        else (*range(-2, 12), 16, 64, 1000, 0.5, 1e6, "dense", "depthwise", "avgpool", "maxpool")
    )
    (folder / "design.json").write_bytes(
        mutate.encoded(mutate.json_text(rng, json.loads(design.canonical_json()), pool))
    )
    _sampled(rng, folder)


def check_design(folder: Path) -> None:
    """A design that is accepted is its canonical JSON, and some are emitted, as they are and with their true cost."""
    design, weights = load_design(folder / "design.json")
    problems: list[str] = []
    raw = json.loads(design.canonical_json())
    add_defaults(raw)
    assert decode(Design, raw, "design", problems) == design
    assert not problems
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        save_design(design, weights, copy)
        again, _ = load_design(copy / "design.json")
        assert again.id == design.id
        if _sample(folder) < 0.25:
            save_design(_costed(design), weights, copy)
            emit(copy / "design.json", copy / "bundle", 2)
        elif _sample(folder) < 0.35:
            emit(folder / "design.json", copy / "bundle", 2)


def _costed(design: Design) -> Design:
    """The design with the cost that the exact models give."""
    from nba.boards import get
    from nba.machine.program import lower
    from nba.machine.total import exact_cost

    program = lower(design.network, design.accelerator, design.modes)
    return replace(design, cost=exact_cost((program,), get(design.platform, design.board)))


def _weights(rng: random.Random, folder: Path) -> None:
    design, weights = rng.choice(cases())
    save_design(design, weights, folder)
    (folder / "weights.npz").write_bytes(mutate.npz(rng, arrays(weights, len(design.network.layers))))


def check_weights(folder: Path) -> None:
    """Weights that are accepted are those of the design."""
    design, weights = load_design(folder / "design.json")
    assert len(weights) == len(design.networks) * len(design.network.layers)


def _network(rng: random.Random, folder: Path) -> None:
    design, weights = rng.choice(cases()[:3])
    save_network(design.network, weights, folder)
    if rng.random() < 0.8:
        (folder / "network.json").write_bytes(mutate.encoded(mutate.json_text(rng, asdict(design.network))))
    else:
        (folder / "weights.npz").write_bytes(mutate.npz(rng, arrays(weights, len(design.network.layers))))
    _sampled(rng, folder)


def check_network(folder: Path) -> None:
    """A network that is accepted runs, and has loop nests."""
    from nba.ir.reference import run

    load_nests(str(folder / "network.json"), None if _sample(folder) < 0.5 else 4)
    network, weights = load_network(folder)
    first = network.tensors[0]
    if first.height * first.width * first.channels <= 4096:
        run(network, weights, np.zeros((1, first.height, first.width, first.channels), first.dtype))


def _images(rng: random.Random, folder: Path) -> None:
    design, weights = cases()[rng.randrange(3)]
    save_design(design, weights, folder)
    first = design.network.tensors[0]
    x = np.arange(3 * first.height * first.width * first.channels, dtype=np.uint8)
    x = x.reshape(3, first.height, first.width, first.channels)
    y = np.arange(3, dtype=np.int64)
    last = design.network.tensors[-1]
    names = tuple(f"class {i}" for i in range(last.height * last.width * last.channels))
    save_images(x, y, names, folder)
    if rng.random() < 0.3:
        (folder / "classes.json").write_bytes(mutate.encoded(mutate.json_text(rng, list(names))))
    else:
        (folder / "images.npz").write_bytes(mutate.npz(rng, {"x": x, "y": y}))
    _sampled(rng, folder)


def check_images(folder: Path) -> None:
    """Images that are accepted are emitted."""
    found = load_images(folder / "images.npz")
    assert found.x.ndim == 4
    assert len(found.x) == len(found.y) > 0
    load_classes(folder / "classes.json")
    if _sample(folder) < 0.3:
        emit(folder / "design.json", folder / "bundle", 2)


@cache
def _architecture() -> Architecture:
    return Architecture(macro=DIGITS_SPACE, ops=("k3_e3",) * 5, bits=(4, 8, 8, 2, 6))


def _search(rng: random.Random, folder: Path) -> None:
    from nba.learn.search.result import SearchRecord, SearchResult, save_result

    record = SearchRecord(
        epoch=1, joint=True, train_loss=1.5, valid_loss=1.0, valid_accuracy=0.5, temperature=2.0, alpha_entropy=0.5,
        beta_entropy=0.5, cost=100.0, interval_cycles=100, dsp=4, bram18=3, feasible=True, ops=_architecture().ops,
        bits=_architecture().bits,
    )  # fmt: skip
    result = SearchResult(
        architecture=_architecture(),
        accelerator=cases()[0][0].accelerator,
        objective="edp",
        seed=3,
        records=(record,) * 3,
    )
    save_result(result, folder / "search.json")
    raw = json.loads((folder / "search.json").read_text())
    (folder / "search.json").write_bytes(mutate.encoded(mutate.json_text(rng, raw)))


def check_search(folder: Path) -> None:
    """A result that is accepted is saved as it was read, and its network can be built."""
    from nba.learn.search.result import load_result, save_result

    found = load_result(folder / "search.json")
    save_result(found, folder / "again.json")
    assert load_result(folder / "again.json") == found
    skeleton(found.architecture)


def _nas(rng: random.Random, folder: Path) -> None:
    from nba.learn.switchable.efficiency import EfficiencyTable, OperatorCost
    from nba.learn.switchable.search_result import SwitchableSearch, SwitchableSearchRecord, save_switchable_search

    record = SwitchableSearchRecord(
        epoch=0, joint=False, train_loss=1.0, train_losses=(1.0, 2.0), valid_loss=0.0, valid_accuracy=0.0,
        temperature=5.0,
        alpha_entropy=1.0, efficiency=1.0, cost=1.0, energy_pj=1.0, cycles=100, ops=_architecture().ops,
    )  # fmt: skip
    costs = tuple(OperatorCost(operator=op, energy_pj=1.0, cycles=3) for op in ("k3_e1", "k3_e3"))
    table = EfficiencyTable(
        hierarchy="eyeriss-like", objective="edp", bits=4, fixed_energy_pj=2.0, fixed_cycles=5, blocks=(costs,) * 5
    )
    found = SwitchableSearch(
        architecture=_architecture(), bitwidths=(4, 8), stem_bits=None, classifier_bits=8, table=table, seed=1,
        records=(record,) * 2,
    )  # fmt: skip
    save_switchable_search(found, folder / "nas.json")
    raw = json.loads((folder / "nas.json").read_text())
    (folder / "nas.json").write_bytes(mutate.encoded(mutate.json_text(rng, raw)))


def check_nas(folder: Path) -> None:
    """As `check_search`."""
    from nba.learn.switchable.search_result import load_switchable_search, save_switchable_search

    found = load_switchable_search(folder / "nas.json")
    save_switchable_search(found, folder / "again.json")
    assert load_switchable_search(folder / "again.json") == found
    skeleton(found.architecture)


def _architecture_text(rng: random.Random, folder: Path) -> None:
    raw: Any = json.loads(architecture_json(_architecture()))
    (folder / "architecture.json").write_bytes(mutate.encoded(mutate.json_text(rng, raw)))


def check_architecture(folder: Path) -> None:
    """An architecture that is accepted is a network."""
    text = (folder / "architecture.json").read_bytes().decode("utf-8", "surrogatepass")
    found = architecture_from_json(text)
    assert architecture_from_json(architecture_json(found)) == found
    skeleton(found)


@cache
def _together() -> SharedNetworks:
    """Networks of three bitwidths, whose zero points every one of them can express."""
    for seed in range(100):
        network = tiny_design(seed)[0].network
        if all(tensor.zero_point % 64 == 0 for tensor in network.tensors):
            return shared_case(3, network, (2, 4, 8))
    raise AssertionError("no such network")


def _switchable(rng: random.Random, folder: Path) -> None:
    save_shared(_together(), folder)
    if rng.random() < 0.6:
        raw = json.loads((folder / "switchable.json").read_text())
        (folder / "switchable.json").write_bytes(mutate.encoded(mutate.json_text(rng, raw)))
    else:
        with np.load(folder / "switchable.npz") as archive:
            members = dict(archive)
        (folder / "switchable.npz").write_bytes(mutate.npz(rng, members))


def check_switchable(folder: Path) -> None:
    """What is accepted has a network for each of its bitwidths."""
    found = load_shared(folder)
    for bits in found.bitwidths:
        found.at(bits)


def _part(rng: random.Random, folder: Path) -> None:
    raw = {"accuracy": {"integer": 0.5}, "switchable": {"accuracy": {"4": {"accuracy": 0.5}}}}
    (folder / "metrics-part.json").write_bytes(mutate.encoded(mutate.json_text(rng, raw)))


def check_part(folder: Path) -> None:
    """A part of the metrics is an object."""
    assert isinstance(read_part(folder), dict)


def _checkpoint(rng: random.Random, folder: Path) -> None:
    import torch

    from nba.learn.train import checkpoint

    state = {"fingerprint": "f", "epoch": 3, "weights": {"a": torch.arange(40.0), "b": torch.ones(3, 4)}, "text": "[1]"}
    checkpoint.save_checkpoint(folder / "c.pt", state)
    data = (folder / "c.pt").read_bytes()
    kinds = (b"", b"PK", b"\x80\x04N.", data[: len(data) // 2], data + b"x", bytes(len(data)))
    (folder / "c.pt").write_bytes(mutate.damaged(rng, data) if rng.random() < 0.9 else rng.choice(kinds))
    shutil.copyfile(folder / "c.pt", folder / "given")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    (folder / "state").write_bytes(buffer.getvalue())


def check_checkpoint(folder: Path) -> None:
    """A checkpoint is what was saved, or none."""
    import torch

    from nba.learn.train import checkpoint

    found = checkpoint.load_checkpoint(folder / "c.pt", "f")
    if found is not None:
        wanted = torch.load(folder / "state", weights_only=True)
        assert set(found) == set(wanted)
        assert found["epoch"] == wanted["epoch"]
        assert found["text"] == wanted["text"]
        for name, value in wanted["weights"].items():
            assert torch.equal(found["weights"][name], value), "a damaged checkpoint was loaded"  # type: ignore[index]


TARGETS = (
    Target(name="design", make=_design, check=check_design, share=14, limit_s=60.0),
    Target(name="weights", make=_weights, check=check_weights, share=5),
    Target(name="network", make=_network, check=check_network, share=5),
    Target(name="images", make=_images, check=check_images, share=3, limit_s=60.0),
    Target(name="search-result", make=_search, check=check_search, share=4),
    Target(name="nas-result", make=_nas, check=check_nas, share=3),
    Target(name="architecture", make=_architecture_text, check=check_architecture, share=3),
    Target(name="switchable", make=_switchable, check=check_switchable, share=3),
    Target(name="metrics-part", make=_part, check=check_part),
    Target(name="checkpoint", make=_checkpoint, check=check_checkpoint, share=2),
)

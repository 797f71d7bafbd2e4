# SPDX-License-Identifier: Apache-2.0
"""Cases of what a user writes in YAML: specs, boards, and hierarchies of memories."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import get_args

import yaml

from nba.api import load_spec
from nba.boards import get, load_board, names
from nba.boards.schema import BoardText
from nba.boards.table import board_files
from nba.core import assets
from nba.flow import pipelines
from nba.learn.space.architecture_file import architecture_text, read_architecture
from nba.learn.space.network import Architecture, skeleton
from nba.loopnest.description import hierarchy_files
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.schema import HierarchyText, built, read_hierarchy
from nba.spec import Spec, parse_spec
from tests.fuzz import mutate
from tests.fuzz.outcome import Target
from tests.spaces import DIGITS_SPACE

PRESETS = (
    "{name: digits}", "{name: folder, image_size: 8, path: .}", "{name: cifar10, path: .}", "switchable", "quick",
    "published-auto-nba-cifar", "published-instantnet-cifar", "common-cifar", "auto-nba-cifar", "auto-nba-imagenet",
    "{published: mobilenet_v2}", "resnet8", "pynq-z2", "zc706",
)  # fmt: skip


@cache
def spec_texts() -> tuple[str, ...]:
    """The ready examples as texts, and a small one."""
    ready = [path.read_text(encoding="utf-8") for path in sorted(assets.root("examples").glob("*.yaml"))]
    small = (
        "name: small\ndataset: {name: digits}\nnetwork: {stem_channels: 8, stages: [{channels: 8, blocks: 1}], "
        "head_channels: 16}\nplatform: pynq-z2\nbudgets: {dsp: 64, bram: 32.5}\n"
    )
    given = (
        "name: given\ngiven: {published: resnet8, image: 16, weights: random}\nplatform: zc706\n"
        "budgets: {dsp: 64, bram: 32.5}\n"
    )
    return (*ready, small, given, small)


@cache
def spec_values() -> tuple[object, ...]:
    """The same as values, and each with all defaults filled in."""
    found: list[object] = []
    for text in spec_texts():
        found.append(yaml.safe_load(text))
        spec = parse_spec(text, where="spec", folder=Path("/"), platforms=names())
        whole = yaml.safe_load(spec.yaml())
        if spec.dataset is not None and spec.dataset.path is not None:
            whole["dataset"]["path"] = "cifar10"
        found.append(whole)
    return tuple(found)


@cache
def words() -> tuple[str, ...]:
    """Names of all fields."""
    fields = [*Spec.model_fields, *HierarchyText.model_fields]
    for field in Spec.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            fields += list(getattr(kind, "model_fields", ()))
    return (*fields, *PRESETS)


def _data(folder: Path) -> None:
    """The images that the ready examples name."""
    for name in ("train/a", "train/b", "test/a", "test/b"):
        (folder / "cifar10" / name).mkdir(parents=True)


def _spec_text(rng: random.Random, folder: Path) -> None:
    _data(folder)
    (folder / "spec.yaml").write_bytes(mutate.encoded(mutate.text(rng, rng.choice(spec_texts()))))


GENTLE = (
    0, 1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 200, 0.0, 0.1, 0.5, 1.0, 10.0, 1e5, True, False, None, "auto", "sgd", "all",
    "1e5",
    "a b", "k3_e6", "skip", [2, 4], [8, 16], ["k3_e1", "k5_e6"], {"preset": "quick"},
)  # fmt: skip
"""Values that many fields take."""


def _spec_value(rng: random.Random, folder: Path) -> None:
    _data(folder)
    pool, edits = (mutate.VALUES, None) if rng.random() < 0.5 else (GENTLE, rng.choice((1, 1, 2)))
    (folder / "spec.yaml").write_bytes(mutate.encoded(mutate.yaml_text(rng, rng.choice(spec_values()), pool, edits)))


def _spec_soup(rng: random.Random, folder: Path) -> None:
    (folder / "spec.yaml").write_bytes(mutate.encoded(mutate.soup(rng, words())))


def _spec_bytes(rng: random.Random, folder: Path) -> None:
    (folder / "spec.yaml").write_bytes(mutate.damaged(rng, rng.choice(spec_texts()).encode()))


def check_spec(folder: Path) -> None:
    """A spec that is accepted prints itself so that it reads back the same; then what it asks for is checked."""
    spec = load_spec(folder / "spec.yaml")
    printed = spec.yaml()
    again = parse_spec(printed, where="printed", folder=Path("/nowhere"), platforms=names())
    assert again == spec, "the printed spec is another one"
    assert again.yaml() == printed
    pipelines.check(spec)


def board_texts() -> tuple[str, ...]:
    """The built-in boards as board files, and the same under names of their own."""
    ready = [path.read_text(encoding="utf-8") for path in board_files().values()]
    return (*ready, *(text.replace("\nname: ", "\nname: my-", 1) for text in ready))


def _board(rng: random.Random, folder: Path) -> None:
    source, how = rng.choice(board_texts()), rng.random()
    made = mutate.text(rng, source) if how < 0.45 else mutate.yaml_text(rng, yaml.safe_load(source))
    content = mutate.damaged(rng, source.encode()) if how > 0.9 else mutate.encoded(made)
    (folder / "board.yaml").write_bytes(content)
    (folder / "spec.yaml").write_text(spec_texts()[-1].replace("platform: pynq-z2", "platform: board.yaml"))


def check_board(folder: Path) -> None:
    """A board that is accepted reads back the same from a design, and its limits are those of a spec."""
    board = load_board(str(folder / "board.yaml"))
    assert 1 <= board.clock_mhz <= 1000
    assert board.part.replace("-", "").isalnum()
    if board.described is not None:
        again = BoardText.model_validate(board.described.model_dump(mode="json"))
        assert get(board.name, again) == board
    pipelines.check(load_spec(folder / "spec.yaml"))


def hierarchy_texts() -> tuple[str, ...]:
    """The ready hierarchies."""
    return tuple(path.read_text(encoding="utf-8") for path in hierarchy_files().values())


def _hierarchy(rng: random.Random, folder: Path) -> None:
    source = rng.choice(hierarchy_texts())
    made = mutate.text(rng, source) if rng.random() < 0.5 else mutate.yaml_text(rng, yaml.safe_load(source))
    (folder / "hierarchy.yaml").write_bytes(mutate.encoded(made))
    (folder / "sample").write_text(str(rng.random()))


def check_hierarchy(folder: Path) -> None:
    """A description that is accepted can be computed with: some of them map a layer."""
    hierarchy = built(read_hierarchy(folder / "hierarchy.yaml"))
    if float((folder / "sample").read_text()) < 0.1:
        map_layers(hierarchy)


def map_layers(hierarchy: Hierarchy) -> None:
    """Map two layers of a network, with little effort."""
    from nba.loopnest.network_map import map_loop_nests
    from nba.loopnest.report import mapping_json, nests_text
    from nba.loopnest.shapes import published

    layers = published("resnet18", weight_bits=8, act_bits=8)[-2:]
    found = map_loop_nests(layers, hierarchy, objective="edp", seed=0, effort=1000)
    assert mapping_json(found)
    assert nests_text(found, hierarchy)


def _architecture_file(rng: random.Random, folder: Path) -> None:
    chosen = Architecture(macro=DIGITS_SPACE, ops=("k3_e3",) * 5, bits=(4, 8, 8, 2, 6))
    text = architecture_text(chosen, with_bits=True)
    if rng.random() < 0.5:
        made = mutate.text(rng, text)
    else:
        made = mutate.yaml_text(rng, yaml.safe_load(text), GENTLE, rng.choice((1, 1, 2)))
    (folder / "architecture.yaml").write_bytes(mutate.encoded(made))


def check_architecture_file(folder: Path) -> None:
    """An architecture that is accepted is written so that it reads back the same, and its network can be built."""
    found = read_architecture(folder / "architecture.yaml", DIGITS_SPACE, with_bits=True)
    (folder / "again.json").write_text(architecture_text(found, with_bits=True))
    assert read_architecture(folder / "again.json", DIGITS_SPACE, with_bits=True) == found
    skeleton(found)


TARGETS = (
    Target(name="spec-text", make=_spec_text, check=check_spec, share=10),
    Target(name="spec-value", make=_spec_value, check=check_spec, share=10),
    Target(name="spec-soup", make=_spec_soup, check=check_spec, share=4),
    Target(name="spec-bytes", make=_spec_bytes, check=check_spec, share=2),
    Target(name="board", make=_board, check=check_board, share=4),
    Target(name="hierarchy", make=_hierarchy, check=check_hierarchy, share=6, limit_s=60.0),
    Target(name="architecture-file", make=_architecture_file, check=check_architecture_file, share=3),
)

# SPDX-License-Identifier: Apache-2.0
"""Networks that `nba-codesign map` is given: what is wrong with one is one message, never a defect."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from nba.core.errors import NbaError
from nba.flow.load_layers import load_nests
from nba.ir.network import Layer, Network, Tensor
from nba.loopnest.layer import MAX_MACS, NestLayer
from nba.loopnest.network import layers_of


def network(*, size: int = 4, kernel: int = 2, result: int = 1, pad: int = 0) -> Network:
    """One dense layer."""
    tensors = (
        Tensor(name="x", height=size, width=size, channels=2, signed=False),
        Tensor(name="y", height=result, width=result, channels=4, signed=True),
    )
    layer = Layer(
        name="one", op="dense", input=0, kernel_h=kernel, kernel_w=kernel, pad_top=pad, pad_left=pad, shift=8,
        q_min=-128, q_max=127,
    )  # fmt: skip
    return Network(name="small", tensors=tensors, layers=(layer,))


def write(folder: Path, edit: Callable[[Any], object]) -> Path:
    raw = json.loads(json.dumps(asdict(network(result=3))))
    edit(raw)
    path = folder / "network.json"
    path.write_text(json.dumps(raw))
    return path


def test_a_network_needs_no_weights(tmp_path: Path) -> None:
    path = write(tmp_path, lambda raw: None)
    expected = (NestLayer(name="one", m=4, c=2, p=3, q=3, r=2, s=2),)
    assert load_nests(str(path), None).layers == load_nests(str(tmp_path), None).layers == expected


@pytest.mark.parametrize(
    "edit",
    [
        lambda raw: raw["layers"][0].update(input=9),
        lambda raw: raw["layers"][0].update(input=-1),
        lambda raw: raw["layers"][0].update(groups=0),
        lambda raw: raw["layers"][0].update(stride_h=0),
        lambda raw: raw["layers"][0].update(kernel_h=10**30),
        lambda raw: raw["layers"][0].update(op="pool3d"),
        lambda raw: raw["tensors"].pop(),
        lambda raw: raw["tensors"][1].update(channels=0),
        lambda raw: raw.update(layers=[], tensors=raw["tensors"][:1]),
        lambda raw: raw.pop("layers"),
    ],
)
def test_a_damaged_network_is_refused(edit: Callable[[Any], object], tmp_path: Path) -> None:
    path = write(tmp_path, edit)
    with pytest.raises(NbaError) as caught:
        load_nests(str(path), None)
    assert str(caught.value).startswith(f"{path}:\n  - ")


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "network.json").write_bytes(text)
    with pytest.raises(NbaError, match="missing or damaged"):
        load_nests(str(tmp_path), None)


def test_a_kernel_as_large_as_its_map_is_fully_connected_only_for_one_output() -> None:
    (full,) = layers_of(network(size=2, kernel=2))
    assert full.extents == (1, 1, 4, 8, 1, 1, 1, 1)
    # Padding at the bottom and on the right: 2 x 2 outputs, each of another window.
    (padded,) = layers_of(network(size=2, kernel=2, result=2))
    assert padded.extents == (1, 1, 4, 2, 2, 2, 2, 2)


def test_layers_beyond_64_bits_are_refused() -> None:
    assert NestLayer(name="largest", m=2**24, c=2**24).macs == MAX_MACS
    for extents in ({"m": 2**24, "c": 2**24 + 1}, {"m": 10**400, "c": 1}):
        with pytest.raises(NbaError, match="layer big: its multiply-accumulates"):
            NestLayer(name="big", **extents)

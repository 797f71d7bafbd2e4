# SPDX-License-Identifier: Apache-2.0
"""Architecture files: what is written reads back, and every error of a file is named at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nba.core.errors import SpecError
from nba.learn.space.architecture_file import architecture_text, read_architecture
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, Macro
from tests.spaces import DIGITS_SPACE

MACRO = DIGITS_SPACE.but(
    stages=(StageSpace(channels=16, blocks=2, stride=1), StageSpace(channels=24, blocks=1, stride=2)),
    operators=("k3_e1", "k3_e6", "skip"),
    bitwidths=(4, 8),
)
HAND_WRITTEN = """
# by hand
blocks:
  - {operator: k3_e6, bits: 8}
  - {operator: skip}
  - {operator: k3_e1, bits: 4}
"""


def _read(folder: Path, text: str, macro: Macro = MACRO, *, with_bits: bool = True) -> Architecture:
    file = folder / "arch.yaml"
    file.write_text(text)
    return read_architecture(file, macro, with_bits=with_bits)


def _problems(folder: Path, text: str, macro: Macro = MACRO, *, with_bits: bool = True) -> list[str]:
    with pytest.raises(SpecError) as caught:
        _read(folder, text, macro, with_bits=with_bits)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()]


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    whole = Architecture(macro=MACRO, ops=("k3_e6", "skip", "k3_e1"), bits=(8, 4, 4))
    text = architecture_text(whole, with_bits=True)
    assert _read(tmp_path, text) == whole
    assert json.loads(text)["blocks"][0] == {"operator": "k3_e6", "bits": 8}
    switchable = architecture_text(whole, with_bits=False)
    assert "bits" not in switchable
    assert _read(tmp_path, switchable, with_bits=False).ops == whole.ops


def test_by_hand(tmp_path: Path) -> None:
    found = _read(tmp_path, HAND_WRITTEN)
    assert (found.ops, found.bits) == (("k3_e6", "skip", "k3_e1"), (8, 4, 4))


def test_a_skipped_block_has_the_bits_of_its_group(tmp_path: Path) -> None:
    assert _read(tmp_path, HAND_WRITTEN, MACRO.but(bits_per="stage")).bits == (8, 8, 4)
    lines = _problems(tmp_path, HAND_WRITTEN, MACRO.but(bits_per="network"))
    assert lines[1] == (
        "blocks[2].bits: 4, but blocks[0] has 8 and the spec says network.bits_per: network; give both the same"
    )


def test_every_error_is_named(tmp_path: Path) -> None:
    text = "blocks: [{operator: k5_e3, bits: 8}, {operator: k3_e1, bits: 6}, {operator: skip, bits: 4}]"
    lines = _problems(tmp_path, text)
    assert lines[0].endswith("arch.yaml: 3 errors")
    assert lines[1].startswith("blocks[0].operator: 'k5_e3' is not one of this block's, k3_e1, k3_e6, skip; choose")
    assert lines[2] == "blocks[1].bits: 6 is not one of 4, 8; choose one, or add it to the spec's bitwidths"
    assert lines[3].startswith(
        "blocks[2].operator: skip, but this block changes its shape (16 to 24 channels, stride 2)"
    )


def test_a_stride_of_one_axis_keeps_no_shape(tmp_path: Path) -> None:
    macro = MACRO.but(stages=(MACRO.stages[0].but(stride=(1, 2)), MACRO.stages[1]))
    (_, line) = _problems(tmp_path, HAND_WRITTEN.replace("k3_e6, bits: 8", "skip"), macro)
    assert line.startswith(
        "blocks[0].operator: skip, but this block changes its shape (16 to 16 channels, stride [1, 2]) and cannot be"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("blocks: [{operator: k3_e1, bits: 8}]", "blocks: 1, but the spec's network has 3; give one entry for each"),
        (HAND_WRITTEN.replace("k3_e6, bits: 8", "k3_e6"), "blocks[0].bits: missing; legal: 4, 8"),
        (HAND_WRITTEN.replace("bits: 4", "bits: 4.5"), "blocks[2].bits: input should be a valid integer"),
        (HAND_WRITTEN.replace("bits: 4", "bit: 4"), "blocks[2].bit: unknown field (did you mean 'bits'?)"),
        (HAND_WRITTEN.replace("blocks:", "layers:"), "blocks: missing"),
        (HAND_WRITTEN + "format: 2\n", "format: input should be 1 (found 2)"),
        ("blocks: []", "blocks: the number of entries is 0; legal: at least 1"),
    ],
)
def test_errors(tmp_path: Path, text: str, line: str) -> None:
    assert any(found.startswith(line) for found in _problems(tmp_path, text))


def test_a_switchable_network_has_no_bits_of_its_own(tmp_path: Path) -> None:
    lines = _problems(tmp_path, HAND_WRITTEN, with_bits=False)
    assert lines[1] == "blocks[0].bits: 8, but a switchable network has the bits of switchable.bitwidths; leave it out"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file; give the path of a network architecture"):
        read_architecture(tmp_path / "none.json", MACRO, with_bits=True)
    with pytest.raises(SpecError, match="the file is a list"):
        _read(tmp_path, "- a")

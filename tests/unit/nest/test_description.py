# SPDX-License-Identifier: Apache-2.0
"""Hierarchies in YAML: what is read, the ready ones, and every error at once."""

from __future__ import annotations

from math import isclose, sqrt
from pathlib import Path
from textwrap import dedent

import pytest

from nba.boards import HOROWITZ_45NM, get, names
from nba.core.errors import SpecError
from nba.loopnest.cost import area_mm2
from nba.loopnest.description import hierarchies, hierarchy_files, load_hierarchy, load_text
from nba.loopnest.hierarchy import Axis, Hierarchy, Level, LevelMemory, Link, Mac
from nba.loopnest.layer import INPUTS, OUTPUTS, WEIGHTS, C, M
from nba.loopnest.schema import HierarchyText, built, parse_hierarchy

SMALL = """
    name: small
    notes: for tests
    clock_mhz: 100.0
    levels:
      - name: dram
        memories:
          - name: dram
            operands: [weights, inputs, outputs]
            word_bits: 64
            read: {value: 2.0, unit: pJ, source: a table}
            write: {value: 3.0, unit: pJ, source: a table}
            area: {value: 0.0, unit: mm2, source: a table}
      - name: pe
        memories:
          - name: pad
            operands: [inputs, weights, outputs]
            size_bytes: 16
            word_bits: 8
            read: {value: 0.5, unit: pJ, source: a table, rule: half of it}
            write: {value: 0.5, unit: pJ, source: a table}
            area: {value: 0.25, unit: mm2, source: a table}
        axes: [{name: x, size: 4, loops: [M, C]}]
        links:
          - operands: [weights, inputs]
            fill_bits_per_cycle: 16
            energy: {value: 0.0, unit: pJ/bit, source: a table}
          - operands: [outputs]
            drain_bits_per_cycle: 32
            energy: {value: 0.125, unit: pJ/bit, source: a table}
        double_buffered: false
    macs:
      - bits: 8
        energy: {value: 1.0, unit: pJ, source: a table}
        area: {value: 0.5, unit: mm2, source: a table}
        accumulator_bits: 32
    """


def read(text: str = SMALL, *changes: tuple[str, str]) -> HierarchyText:
    """A description with parts of its text exchanged; each must occur."""
    text = dedent(text)
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return parse_hierarchy(text, where="small.yaml")


def errors(*changes: tuple[str, str]) -> list[str]:
    """The errors of the small description with parts of its text exchanged."""
    with pytest.raises(SpecError) as caught:
        read(SMALL, *changes)
    first, *lines = str(caught.value).splitlines()
    assert first == f"small.yaml: {len(lines)} error{'s' if len(lines) > 1 else ''}"
    return [line.removeprefix("  - ") for line in lines]


def test_a_description_is_read() -> None:
    pad = LevelMemory(
        name="pad", operands=(0, 1, 2), size_bits=128, word_bits=8, read_pj=0.5, write_pj=0.5, area_mm2=0.25
    )  # fmt: skip
    dram = LevelMemory(
        name="dram", operands=(0, 1, 2), size_bits=None, word_bits=64, read_pj=2.0, write_pj=3.0, area_mm2=0.0
    )
    links = (
        Link(operands=(WEIGHTS, INPUTS), fill_bits_per_cycle=16, drain_bits_per_cycle=1, pj_per_bit=0.0),
        Link(operands=(OUTPUTS,), fill_bits_per_cycle=1, drain_bits_per_cycle=32, pj_per_bit=0.125),
    )
    axes = (Axis(name="x", size=4, dims=(M, C)),)
    assert built(read()) == Hierarchy(
        name="small",
        clock_mhz=100.0,
        levels=(
            Level(name="dram", memories=(dram,), double_buffered=False),
            Level(name="pe", memories=(pad,), axes=axes, links=links, double_buffered=False),
        ),
        macs=(Mac(bits=8, pj=1.0, area_mm2=0.5, accumulator_bits=32),),
    )
    assert area_mm2(built(read()), 8) == 4 * 0.25 + 4 * 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [("        read: {value: 0.5, unit: pJ, source: a table, rule: half of it}\n", "")],
            "levels[1: pe].memories[0: pad].read: missing; give {value: <number>, unit: pJ, source: <where it is "
            "from>}: nothing is assumed",
        ),
        (
            [("        energy: {value: 0.125, unit: pJ/bit, source: a table}\n", "")],
            "levels[1: pe].links[1].energy: missing; give {value: <number>, unit: pJ/bit, source: <where it is from>}: "
            "nothing is assumed",
        ),
        (
            [("value: 0.25, unit: mm2, source: a table", "value: 0.25, unit: mm2")],
            "levels[1: pe].memories[0: pad].area.source: missing",
        ),
        (
            [("value: 0.25, unit: mm2, source: a table", "value: 0.25, unit: mm2, source: ''")],
            "levels[1: pe].memories[0: pad].area.source: string should have at least 1 character (found '')",
        ),
        (
            [("value: 0.25, unit: mm2", "value: 0.25, unit: um2")],
            "levels[1: pe].memories[0: pad].area.unit: input should be 'mm2' (found 'um2')",
        ),
        (
            [("value: 0.25, unit", "value: -1.0, unit")],
            "levels[1: pe].memories[0: pad].area.value: input should be greater than or equal to 0 (found -1.0)",
        ),
        (
            [("double_buffered", "double_bufered")],
            "levels[1: pe].double_bufered: unknown field (did you mean 'double_buffered'?); legal here: name, "
            "memories, axes, links, double_buffered, innermost, unit_tiles",
        ),
        (
            [("loops: [M, C]", "loops: [M, K]")],
            "levels[1: pe].axes[0: x].loops[1]: input should be 'N', 'G', 'M', 'C', 'P', 'Q', 'R' or 'S' (found 'K')",
        ),
        ([("loops: [M, C]", "loops: [M, M]")], "levels[1: pe]: axes.x.loops: M is listed 2 times"),
        ([("    double_buffered: false\n", "")], "levels[1: pe]: double_buffered: missing; true or false"),
        (
            [("        size_bytes: 16\n", "")],
            "levels[1: pe]: memories.pad: size_bytes: missing; only the outermost level has no bound",
        ),
        (
            [("word_bits: 64", "word_bits: 64\n        size_bytes: 1")],
            "levels[0: dram]: memories.dram: size_bytes: the outermost level holds everything and has no size; leave "
            "it out",
        ),
        (
            [("operands: [weights, inputs, outputs]", "operands: [weights, outputs]")],
            "levels[0: dram]: no memory holds inputs; the outermost level holds all three operands",
        ),
        (
            [("- operands: [weights, inputs]", "- operands: [weights]")],
            "levels[1: pe]: links: none brings inputs, which the level holds; every operand held is on one link",
        ),
        (
            [
                ("- operands: [outputs]", "- operands: [outputs, inputs]"),
                ("drain_bits", "fill_bits_per_cycle: 8\n        drain_bits"),
            ],
            "levels[1: pe]: links: 2 bring inputs; every operand held is on one link",
        ),
        (
            [("fill_bits_per_cycle: 16\n", "drain_bits_per_cycle: 1\n        fill_bits_per_cycle: 16\n")],
            "levels[1: pe]: links[0].drain_bits_per_cycle: the link carries no outputs; leave it out",
        ),
        (
            [("        drain_bits_per_cycle: 32\n", "")],
            "levels[1: pe]: links[1].drain_bits_per_cycle: missing; the link carries outputs",
        ),
        (
            [("- name: dram\n    memories", "- name: dram\n    double_buffered: true\n    memories")],
            "levels[0: dram]: double_buffered: belongs to levels that are loaded, not to the outermost one",
        ),
        (
            [("- name: dram\n    memories", "- name: dram\n    axes: [{name: y, size: 2, loops: [C]}]\n    memories")],
            "levels[0: dram]: axes: the outermost level has none",
        ),
        (
            [("double_buffered: false", "double_buffered: false\n    innermost: [C]")],
            "levels[1: pe]: innermost: the innermost level walks nothing; say it at the level outside",
        ),
        ([("- name: pe", "- name: dram")], "levels: 2 are called dram; give each its own name"),
        (
            [("clock_mhz: 100.0", "clock_mhz: 0")],
            "clock_mhz: input should be greater than or equal to 0.000001 (found 0)",
        ),
        (
            [("size: 4,", f"size: {2**63},")],
            f"levels[1: pe].axes[0: x].size: input should be less than or equal to {2**32} (found {2**63})",
        ),
        (
            [("size_bytes: 16", f"size_bytes: {2**63}")],
            f"levels[1: pe].memories[0: pad].size_bytes: input should be less than or equal to {2**40} (found {2**63})",
        ),
        (
            [("value: 0.5, unit", "value: 1e308, unit")],
            "levels[1: pe].memories[0: pad].read.value: input should be less than or equal to 1000000000000 "
            "(found 1e+308)",
        ),
        (
            [("unit: mm2, source: a table", "unit: mm2, source: '  '")],
            "levels[0: dram].memories[0: dram].area.source: string should have at least 1 character (found '  ')",
        ),
        (
            [("accumulator_bits: 32", "accumulator_bits: 7")],
            "macs[0].accumulator_bits: 7, fewer than the 8 of an operand",
        ),
        (
            [
                ("    axes: [{name: x, size: 4, loops: [M, C]}]\n", ""),
                ("accumulator_bits: 32", "accumulator_bits: 32\n    lanes: 2"),
            ],
            "macs[0].lanes: 2, but the innermost level has no axis that they could widen",
        ),
    ],
)
def test_an_error_says_what_and_where(changes: list[tuple[str, str]], message: str) -> None:
    found = errors(*changes)
    assert message in found
    # What is missing under its own name may be there under a wrong one: a second error. Nothing else is.
    assert len(found) <= 2


def test_operands_of_a_level_agree_with_its_links() -> None:
    middle = """
      - name: buffer
        memories:
          - {name: a, operands: [inputs], size_bytes: 8, word_bits: 8, read: &e {value: 1.0, unit: pJ, source: s},
             write: *e, area: &a {value: 1.0, unit: mm2, source: s}}
          - {name: b, operands: [outputs, inputs], size_bytes: 8, word_bits: 8, read: *e, write: *e, area: *a}
        links:
          - {operands: [weights, inputs, outputs], fill_bits_per_cycle: 1, drain_bits_per_cycle: 1,
             energy: {value: 1.0, unit: pJ/bit, source: s}}
        double_buffered: true
      - name: pe
    """
    assert errors(("- name: pe\n", dedent(middle).strip().replace("\n", "\n  ") + "\n")) == [
        "levels[1: buffer]: inputs are in 2 memories; each operand is in at most one",
        "levels[1: buffer]: links: one brings weights, which no memory of the level holds",
    ]


def test_all_errors_are_reported_at_once() -> None:
    found = errors(
        ("        write: {value: 3.0, unit: pJ, source: a table}\n", ""),
        ("name: small", "name: small\ncolour: red"),
        ("double_buffered: false\n", "\n"),
        ("accumulator_bits: 32", "accumulator_bits: 0"),
    )
    assert [line.partition(": ")[0] for line in found] == [
        "levels[0",
        "macs[0].accumulator_bits",
        "colour",
        "levels[1",
    ]


def test_energies_are_not_all_zero() -> None:
    values = ("value: 2.0", "value: 3.0", "value: 0.5", "value: 0.5", "value: 1.0")
    assert errors(*((value, "value: 0.0") for value in values)) == [
        "every energy is 0, and so would be the EDP of every mapping; give the energies of memories and MACs"
    ]


def test_a_number_of_bits_is_described_once() -> None:
    number = "{value: 1.0, unit: %s, source: s}"
    mac = f"  - {{bits: 8, energy: {number % 'pJ'}, area: {number % 'mm2'}, accumulator_bits: 9}}"
    found = errors(("macs:\n", f"macs:\n{mac}\n"))
    assert found == ["macs: two MACs of 8 bits; each number of bits is described once"]


def test_names_and_files(tmp_path: Path) -> None:
    assert set(hierarchy_files()) == {"eyeriss-like", "mcu-class", "tpu-like"}
    assert set(hierarchies()) == set(hierarchy_files()) | {f"chunk-{name}" for name in names()}
    for name in hierarchies():
        assert load_text(name).name == name
    path = tmp_path / "mine.yaml"
    path.write_text(dedent(SMALL))
    assert load_hierarchy(path).name == load_hierarchy(str(path)).name == "small"
    with pytest.raises(SpecError, match=r"'eyeris-like' is not known \(did you mean 'eyeriss-like'\?\); legal: eyeri"):
        load_hierarchy("eyeris-like")
    with pytest.raises(SpecError, match=r"nowhere\.yaml: no such file; give the path of a hierarchy"):
        load_hierarchy(tmp_path / "nowhere.yaml")


def test_ready_hierarchies_are_what_they_say() -> None:
    eyeriss, tpu, mcu = (load_hierarchy(name) for name in ("eyeriss-like", "tpu-like", "mcu-class"))
    assert [hierarchy.n_macs(8) for hierarchy in (eyeriss, tpu, mcu)] == [12 * 14, 32 * 32, 8]
    assert [mcu.n_macs(bits) for bits in (2, 4, 8, 16, 32)] == [32, 16, 8, 4, 2]
    assert [memory.size_bits for memory in eyeriss.levels[2].memories] == [224 * 16, 12 * 16, 24 * 16]
    assert eyeriss.levels[1].memories[0].size_bits == 108 * 1024 * 8
    assert tpu.parent(3, WEIGHTS) == 0
    assert (tpu.parent(3, INPUTS), tpu.parent(3, OUTPUTS)) == (1, 2)
    for name, hierarchy in zip(("eyeriss-like", "tpu-like", "mcu-class"), (eyeriss, tpu, mcu), strict=True):
        assert [mac.bits for mac in hierarchy.macs] == [2, 3, 4, 5, 6, 7, 8, 12, 16, 32], name


def test_derived_energies_follow_their_rules() -> None:
    """The numbers in the files have six digits."""
    table = HOROWITZ_45NM
    per_bit = (table.add_32.value - table.add_8.value) / 24
    for name in hierarchy_files():
        for mac in load_text(name).macs:
            pj = table.multiply.value * mac.bits**2 / 64 + table.add_8.value + (mac.accumulator_bits - 8) * per_bit
            # 32 bits are floating point, with published numbers of their own.
            assert mac.energy.value == 4.6 if mac.bits == 32 else isclose(mac.energy.value, pj, rel_tol=1e-5)
            assert mac.energy.rule is not None
    for name in ("tpu-like", "mcu-class"):
        for level in load_text(name).levels:
            for memory in level.memories:
                pj = 1300.0 * memory.word_bits / 64
                if memory.size_bytes is not None:
                    pj = table.sram.value * memory.word_bits / 64 * sqrt(memory.size_bytes / 8192)
                assert isclose(memory.read.value, pj, rel_tol=1e-5)
                assert memory.write == memory.read
    eyeriss = load_text("eyeriss-like")
    mac_pj = next(mac.energy.value for mac in eyeriss.macs if mac.bits == 16)
    for level, cost in zip(eyeriss.levels, (200, 6, 1), strict=True):
        for memory in level.memories:
            assert isclose(memory.read.value, cost * mac_pj, rel_tol=1e-5)


@pytest.mark.parametrize("platform", names())
def test_the_template_on_a_platform(platform: str) -> None:
    board, hierarchy = get(platform), load_hierarchy(f"chunk-{platform}")
    assert hierarchy.n_macs(8) == hierarchy.n_macs(2) == board.dsp
    assert hierarchy.levels[1].memories[0].size_bits == board.bram18 * 18 * 1024
    assert hierarchy.clock_mhz == board.clock_mhz
    assert [mac.bits for mac in hierarchy.macs] == [2, 3, 4, 5, 6, 7, 8, 16]
    energies = [mac.pj for mac in hierarchy.macs]
    assert energies == sorted(energies)

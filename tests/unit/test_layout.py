# SPDX-License-Identifier: Apache-2.0
"""The layout of the words: packing, and that the Verilog, the HLS C++ and the docs are what the tables say."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from benchmarks.figures_file import ROOT
from benchmarks.render_layout import stale
from nba.emit.hls_tables import job_initialiser
from nba.emit.layout_text import BLOCKS, LIBRARY, expression, job_struct, module_name, rendered, verilog
from nba.machine.layout import DST, JOB, PARAM, PROGRAM, SECTIONS, WordField, WordSection, pack_program, program_width

SIZES = [
    {"C_BITS": 8, "ACC_BITS": 24, "PQ": 1, "SHIFT_BITS": 6, "WIDE": 0},
    {"C_BITS": 16, "ACC_BITS": 41, "PQ": 3, "SHIFT_BITS": 2, "WIDE": 1},
]


def test_every_file_is_what_the_tables_say() -> None:
    assert not stale(), "run python -m benchmarks.render_layout"


def test_a_changed_table_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nba.emit.layout_text.SECTIONS", (replace(DST, fields=DST.fields[::-1]),))
    assert set(stale()) == {f"{LIBRARY}/nba_word_dst.v", "docs/template.md"}


def test_a_block_that_is_missing_is_an_error() -> None:
    read = {path: (ROOT / path).read_text() for path in BLOCKS} | {"docs/template.md": "no block"}
    with pytest.raises(AssertionError, match=r"docs/template\.md: 0 blocks"):
        rendered(read)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.name)
def test_widths_in_verilog_are_those_of_the_table(section: WordSection, sizes: dict[str, int]) -> None:
    assert eval(expression(section.fields), {}, dict(sizes)) == section.width(sizes)
    text = verilog(section)
    ports = re.findall(r"^  (?:input|output)  ?wire (?:\[(\S+):0\] )? *(\w+)", text, flags=re.M)
    found = {name: 1 + (eval(high, {}, dict(sizes)) if high else 0) for high, name in ports}
    assert found.pop("s_word") == section.width(sizes)
    assert found == {f"cfg_{field.name}": field.total(sizes) for field in section.fields}
    assigned = re.findall(r"^    (\w+)", text.split("assign {")[1], flags=re.M)
    assert assigned[::-1] == list(found)
    assert text.count(f"module {module_name(section)} ") == 1


def _random(fields: tuple[WordField, ...], sizes: dict[str, int], rand: random.Random) -> dict[str, int]:
    found = {}
    for field in fields:
        bits = field.width(sizes)
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if field.signed else (0, (1 << bits) - 1)
        found[field.name] = rand.choice([low, high, rand.randint(low, high)])
    return found


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("n_dst", [1, 3])
def test_packed_fields_lie_where_the_table_says(n_dst: int, sizes: dict[str, int]) -> None:
    rand = random.Random(n_dst)
    values = {section.name: _random(section.fields, sizes, rand) for section in PROGRAM}
    dst = [_random(DST.fields, sizes, rand) for _ in range(n_dst)]
    word, low = pack_program(values, dst, sizes), 0
    for section, want in [*((s, values[s.name]) for s in PROGRAM), *((DST, d) for d in dst)]:
        for field, at, bits in section.places(sizes):
            found = word >> (low + at) & ((1 << bits) - 1)
            assert found == want[field.name] % (1 << bits), field.name
        low += section.width(sizes)
    assert low == program_width(sizes, n_dst)
    assert word >> low == 0


@pytest.mark.parametrize("value", [-1, 2])
def test_a_value_that_does_not_fit_is_refused(value: int) -> None:
    fields = {field.name: 0 for field in DST.fields} | {"en": value}
    with pytest.raises(AssertionError, match="program field en "):
        DST.pack(fields, SIZES[0])
    with pytest.raises(AssertionError, match="fields of dst"):
        DST.pack({"en": 1}, SIZES[0])


def test_names_are_unique_within_a_program_word() -> None:
    names = [field.name for section in PROGRAM for field in section.fields]
    assert len(set(names)) == len(names)
    assert len({member.name for member in JOB}) == len(JOB)


def test_no_field_or_parameter_names_a_kind_of_layer() -> None:
    files = [path for top in ("templates/rtl", "templates/hls/lib", "sim") for path in (ROOT / top).rglob("*.*")]
    texts = {path: path.read_text() for path in files if path.suffix in (".v", ".h", ".j2", ".py")}
    assert len(texts) > 40
    named = {
        path.name: re.findall(r"(?i)\w*(?:depthwise|dense|avgpool|maxpool)\w*", text) for path, text in texts.items()
    }
    assert not {name: words for name, words in named.items() if words}


def test_members_of_job_have_the_values_of_their_fields() -> None:
    word = {field.name: i + 100 for i, field in enumerate(f for s in PROGRAM for f in s.fields)}
    own = {m.name: f"<{m.name}>" for m in JOB if not m.word}
    values = job_initialiser(word, own)[1:-1].split(", ")
    assert len(values) == len(JOB)
    assert JOB[-1].default
    shorter = {name: value for name, value in own.items() if name != JOB[-1].name}
    assert job_initialiser(word, shorter)[1:-1].split(", ") == values[:-1]
    for member, value in zip(JOB, values, strict=True):
        if member.kind == "bool":
            assert value == "true"
        elif member.word:
            assert value == f"{word[member.word]}{'LL' if member.kind == 'long long' else ''}"
        else:
            assert value == own[member.name]
    members = re.findall(r"^  (int|bool|long long) (\w+)", job_struct(), flags=re.M)
    assert members == [(m.kind, m.name) for m in JOB]


def test_parameter_words_begin_with_the_biases() -> None:
    sizes = {"PQ": 2, "ACC_BITS": 20}
    assert [(f.name, low, bits) for f, low, bits in PARAM.places(sizes)] == [("bias", 0, 40), ("mult", 40, 32)]

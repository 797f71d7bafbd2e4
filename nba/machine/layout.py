# SPDX-License-Identifier: Apache-2.0
"""The layout of the words that a chunk reads: its program word, its parameter word and the `Job` of the HLS C++.

These tables are the only place that says which field lies where. The emitters pack from them (nba.emit.program_rom,
nba.emit.memories, nba.emit.hls); the Verilog that takes a word apart, the struct of the HLS C++ and the tables of
docs/template.md are written from them by `python -m benchmarks.render_layout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from nba.ir.network import MULT_BITS

Symbol = Literal["", "C_BITS", "ACC_BITS", "SHIFT_BITS", "WIDE"]
"""A width that is a parameter of a chunk: of a code, of an accumulator, of a channel's shift; a bit more where a design
is wide (it has more than 8 banks, or a stride above 2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WordField:
    """One field of a word: `bits` bits plus, where there is a `symbol`, the value of that parameter. `lanes`: the
    parameter that says how many of them follow each other; none: one."""

    name: str
    bits: int = 0
    symbol: Symbol = ""
    signed: bool = False
    lanes: Literal["", "PQ"] = ""
    unit: str = ""
    meaning: str

    def width(self, sizes: Mapping[str, int]) -> int:
        """Bits of one lane, with the values `sizes` of the parameters."""
        return self.bits + (sizes[self.symbol] if self.symbol else 0)

    def total(self, sizes: Mapping[str, int]) -> int:
        """Bits of all lanes."""
        return self.width(sizes) * (sizes[self.lanes] if self.lanes else 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class WordSection:
    """Fields that one part of a chunk reads, the first in the low bits."""

    name: str
    contract: str
    fields: tuple[WordField, ...]

    def width(self, sizes: Mapping[str, int]) -> int:
        """Bits of the section, with the values `sizes` of the parameters."""
        return sum(field.total(sizes) for field in self.fields)

    def places(self, sizes: Mapping[str, int]) -> Iterator[tuple[WordField, int, int]]:
        """(field, lowest bit, bits) of every field."""
        low = 0
        for field in self.fields:
            yield field, low, field.total(sizes)
            low += field.total(sizes)

    def pack(self, values: Mapping[str, int], sizes: Mapping[str, int]) -> int:
        """The word of `values`, one for every field. A value that does not fit is a broken invariant."""
        assert set(values) == {field.name for field in self.fields}, f"fields of {self.name}: {sorted(values)}"
        word = 0
        for field, low, bits in self.places(sizes):
            value = values[field.name]
            least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if field.signed else (0, (1 << bits) - 1)
            assert least <= value <= most, f"program field {field.name} = {value} does not fit {bits} bits"
            word |= (value & ((1 << bits) - 1)) << low
        return word


def _f(name: str, bits: int, meaning: str, unit: str = "") -> WordField:
    return WordField(name=name, bits=bits, meaning=meaning, unit=unit)


def _wide(name: str, bits: int, meaning: str, unit: str = "") -> WordField:
    return WordField(name=name, bits=bits, symbol="WIDE", meaning=meaning, unit=unit)


ISSUE = WordSection(
    name="issue",
    contract="what the decision and the row walk need",
    fields=(
        _f("height", 12, "height of the input map", "rows"),
        _f("width", 12, "width of the input map", "columns"),
        _wide("stride_h", 1, "input rows from one output row to the next - 1", "rows"),
        _wide("stride_w", 1, "as much for columns, and classes of the columns of the input ring - 1", "columns"),
        _f("pad_left", 7, "columns of padding left of the map", "columns"),
        _f("kx_last", 7, "width of the kernel - 1", "taps"),
        _f("ky_last", 7, "height of the kernel - 1", "taps"),
        _f("c_last", 13, "channel words that a channel group walks for one tap - 1", "words"),
        _f("slot_extra", 12, "idle cycles at the end of a slot, S - R", "cycles"),
        _wide("rot0", 3, "place of the first column of tap 0 among those of its class, modulo the banks", "columns"),
        _wide("class0", 1, "class of the first column of tap 0"),
        _f("qoff0", 16, "offset of the first column of tap 0 in its row, modulo 2^16", "words"),
        _f("col_words", 13, "words of a column of the input", "words"),
        _f("class_words", 16, "words from one class of columns of a row to the next", "words"),
        _f("base", 16, "first word of the input ring", "words"),
        _f("row_words", 16, "words of a row of the input ring", "words"),
        _f("ring_words", 16, "words of the input ring", "words"),
        _f("half_words", 13, "words of half a column; 0: every channel group reads all words", "words"),
        _f("half_first", 1, "the half that channel group 0 reads"),
        _f("m_lo_last", 13, "last channel group before the half changes", "groups"),
        _f("m_hi_last", 13, "last channel group before the half changes back", "groups"),
        _f("src_sel", 4, "input edge of the chunk"),
        _f("src_ring", 6, "ring of that edge"),
        _f("a_shift", 4, "bits of a code that the activation operand drops", "bits"),
        _f("a_signed", 1, "the codes of the input are signed"),
        WordField(name="a_pad", symbol="C_BITS", meaning="code that stands for columns and rows beyond the map"),
        _f("w_base", 16, "first word of the job's weights", "words"),
        _f("w_step", 1, "1: a weight word for every step; 0: one word, of ones, for the whole job"),
        _f("w_shift", 4, "bits of a stored weight that the weight operand drops", "bits"),
        _f("w_bits", 5, "bits of the weight operand", "bits"),
        _f("take_max", 1, "1: the accumulator is the largest product of the window; 0: their sum"),
        _f("w_stream", 1, "1: the weights are those of the slice in the store; 0: they are always there"),
    ),
)
ROW = WordSection(
    name="row",
    contract="what the decision and the walk need, and later the drain",
    fields=(
        _f("m_last", 13, "channel groups - 1", "groups"),
        _f("g_last", 12, "column groups - 1", "groups"),
        _f("degree", 2, "a column group has Pp * 2^degree columns"),
        _f("p_base", 16, "first word of the job's parameters", "words"),
        _f("res_en", 1, "the job has a residual operand"),
        _f("res_sel", 4, "residual edge of the chunk"),
        _f("res_ring", 6, "ring of that edge"),
    ),
)
DRAIN = WordSection(
    name="drain",
    contract="what the requantiser needs",
    fields=(
        _f("res_words", 13, "words of a column of the residual operand", "words"),
        _f("res_mult", 16, "multiplier of the residual operand"),
        _f("res_signed", 1, "the codes of the residual operand are signed"),
        WordField(
            name="round",
            bits=48,
            signed=True,
            meaning="2^(shift - 1) - z_res * res_mult, z_res the zero point of the residual",
        ),
        _f("shift", 6, "right shift of the total", "bits"),
        WordField(name="zero", bits=1, symbol="C_BITS", signed=True, meaning="zero point of the output"),
        WordField(name="min", bits=1, symbol="C_BITS", signed=True, meaning="smallest code of the output"),
        WordField(name="max", bits=1, symbol="C_BITS", signed=True, meaning="largest code of the output"),
    ),
)
DST = WordSection(
    name="dst",
    contract="where the edge stores the job's output",
    fields=(
        _f("en", 1, "the output goes to this edge"),
        _f("ring", 6, "ring of the edge"),
        _f("words", 13, "words of a column", "words"),
        _wide("split", 1, "classes of the columns of a row - 1: the stride of the reader - 1"),
        _f("class_words", 16, "words from one class of columns of a row to the next", "words"),
    ),
)
PARAM = WordSection(
    name="param",
    contract="what the channels of a drain step are requantised with",
    fields=(
        WordField(name="bias", symbol="ACC_BITS", signed=True, lanes="PQ", meaning="bias, in accumulator scale"),
        WordField(name="mult", bits=MULT_BITS, lanes="PQ", meaning="multiplier"),
    ),
)
SHIFT = WordSection(
    name="shift",
    contract="how the shifts of the channels of a drain step differ",
    fields=(
        WordField(
            name="shift",
            symbol="SHIFT_BITS",
            lanes="PQ",
            unit="bits",
            meaning="how far the channel's shift is above that of its job",
        ),
    ),
)
"""Behind PARAM in a parameter word, in chunks where SHIFT_BITS is not 0."""
TURN = WordSection(
    name="turn",
    contract="the next rows that a chunk computes",
    fields=(
        _f("job", 8, "job that they are of"),
        _f("rows", 12, "how many", "rows"),
        _f("stage", 8, "in round r they are of frame r - stage", "frames"),
        WordField(name="top", bits=13, signed=True, unit="rows", meaning="first input row of the first one's window"),
        _f("opens", 1, "the first of them is the first of its frame, in its first slice"),
        _f("ends", 1, "the last of them is the last of the map"),
        _f("closes", 1, "and their slice the last of its frame"),
        _f("first_step", 16, "drain steps of the job before those of the slice"),
        _f("first_weight", 16, "weight words of the job before those of the slice", "words"),
    ),
)
"""A word of the memory of turns."""
FETCH = WordSection(
    name="fetch",
    contract="a slice of weights that comes from external memory",
    fields=(
        _f("target", 4, "chunk that it goes to, by its number among the targets"),
        _f("stage", 8, "in round r it is for frame r - stage", "frames"),
        _f("first", 24, "its first burst, counted from the base address in whole bursts", "bursts"),
        _f("beats", 16, "how long it is, 1 or more; its last burst may be a short one", "beats"),
    ),
)
"""A word of the list of fetches."""
PROGRAM = (ISSUE, ROW, DRAIN)
"""Sections of a program word, the first in the low bits; behind them one DST for every output edge of the chunk."""
SECTIONS = (*PROGRAM, DST, TURN, FETCH, PARAM, SHIFT)


def program_width(sizes: Mapping[str, int], n_dst: int) -> int:
    """Bits of the program word of a chunk with `n_dst` output edges."""
    return sum(section.width(sizes) for section in PROGRAM) + n_dst * DST.width(sizes)


def pack_program(
    values: Mapping[str, Mapping[str, int]], dst: Iterable[Mapping[str, int]], sizes: Mapping[str, int]
) -> int:
    """A program word: `values` by name of section and field, `dst` the fields of every output edge."""
    word = low = 0
    parts = [*((section, values[section.name]) for section in PROGRAM), *((DST, v) for v in dst)]
    for section, fields in parts:
        word |= section.pack(fields, sizes) << low
        low += section.width(sizes)
    return word


NO_DST: Mapping[str, int] = {field.name: 0 for field in DST.fields}
"""The fields of an output edge that a job does not write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One member of the struct `Job` of the HLS C++. `word`: the field of the program word that has the same value
    ("" where there is none) and lends it its meaning. `default`: its value where the initialiser ends before it."""

    name: str
    kind: Literal["int", "bool", "long long"] = "int"
    count: str = ""
    word: str = ""
    meaning: str = ""
    default: str = ""

    @property
    def comment(self) -> str:
        """What it means, and its unit."""
        return self.meaning or field_meaning(_BY_NAME[self.word])


def field_meaning(field: WordField) -> str:
    """Meaning and unit of a field."""
    return f"{field.meaning} [{field.unit}]" if field.unit else field.meaning


_BY_NAME = {field.name: field for section in PROGRAM for field in section.fields}


def _same(name: str, word: str = "", kind: Literal["int", "bool", "long long"] = "int") -> Member:
    return Member(name=name, word=word or name, kind=kind)


def _own(name: str, meaning: str, count: str = "") -> Member:
    return Member(name=name, meaning=meaning, kind="int", count=count)


JOB: tuple[Member, ...] = (
    _own("rows_out", "rows of the output map [rows]"),
    _own("width_out", "width of the output map [columns]"),
    _own("degree", "a column group has so many times PP columns"),
    _own("col_groups", "column groups of a row [groups]"),
    _own("m_groups", "channel groups of a column group, of one slice [groups]"),
    _own("slices", "slices of a frame"),
    _own("chan_words", "channel words that a channel group walks for one tap [words]"),
    _same("half_words"),
    _same("half_first"),
    _own("turn_lo", "groups turn_lo <= g < turn_hi read the other half [groups]"),
    _own("turn_hi", "later ones the first again [groups]"),
    _own("kernel_h", "height of the kernel [taps]"),
    _own("kernel_w", "width of the kernel [taps]"),
    _own("slot_cycles", "cycles of a slot, S [cycles]"),
    _own("stride_h", "input rows from one output row to the next [rows]"),
    _own("stride_w", "as much for columns [columns]"),
    _own("pad_top", "rows of padding above the map [rows]"),
    _same("pad_left"),
    _same("height_in", "height"),
    _same("width_in", "width"),
    _own("src_ring", "input ring, a number of the table of rings"),
    _same("in_signed", "a_signed", "bool"),
    _same("pad_code", "a_pad"),
    _same("act_shift", "a_shift"),
    _own("act_hi", "largest code that the multiplier sees"),
    _same("weight_base", "w_base"),
    _same("weight_step", "w_step", "bool"),
    _same("weight_shift", "w_shift"),
    _own("weight_hi", "largest weight that the multiplier sees"),
    _same("take_max", kind="bool"),
    _same("param_base", "p_base"),
    _same("has_residual", "res_en", "bool"),
    _own("res_ring", "ring of the residual operand, a number of the table of rings"),
    _same("res_signed", kind="bool"),
    _same("res_mult"),
    _same("round", kind="long long"),
    _same("shift"),
    _same("z_out", "zero"),
    _same("q_min", "min"),
    _same("q_max", "max"),
    _own("uses", "per buffer that the chunk writes: the ring that gets the output, or -1", count="MAX_USES"),
    Member(
        name="pad_base",
        default="-1",
        meaning="first word of the job's pad codes; -1: `pad_code` in all channels [words]",
    ),
    Member(
        name="streamed",
        kind="bool",
        default="false",
        meaning="its weights come from external memory; `weight_base` is then where the slots of the store begin",
    ),
)
"""The members of `Job`, in order."""

# SPDX-License-Identifier: Apache-2.0
"""The layout of columns in banks, for every number of banks and every stride: no two columns that are read or written
together lie in one bank, and no two columns of a row in one word."""

from __future__ import annotations

import pytest

from nba.ir.accelerator import MAX_BANKS
from nba.ir.network_rules import MAX_STRIDE
from nba.machine.accelerator_rules import PACKINGS
from nba.machine.geometry import bank_columns, class_columns, class_offsets, column_bank, stream_columns

BANKS = range(1, MAX_BANKS + 1)
STRIDES = range(1, MAX_STRIDE + 1)


def _place(x: int, width: int, banks: int, stride: int) -> tuple[int, int]:
    """Bank and word of column `x`, in columns of one word each (docs/template.md)."""
    index, kind = divmod(x, stride)
    return column_bank(x, banks, stride), index // banks + kind * class_columns(width, banks, stride)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("banks", BANKS)
def test_output_columns_of_any_tap_lie_in_different_banks(banks: int, stride: int) -> None:
    """Whatever the padding, the tap, the group and the degree: `banks` columns from any first one on."""
    for first in range(2 * stride * banks + 8):
        read = {column_bank(first + stride * i, banks, stride) for i in range(banks)}
        assert len(read) == banks, first


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("banks", BANKS)
def test_columns_written_together_lie_in_different_banks(banks: int, stride: int) -> None:
    drains = {banks // packing for packing in PACKINGS if banks % packing == 0}
    for together in drains | {stream_columns(banks)}:
        assert banks % together == 0
        for first in range(0, 2 * stride * banks, together):
            written = {column_bank(first + i, banks, stride) for i in range(together)}
            assert len(written) == together, (together, first)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("banks", BANKS)
def test_every_column_has_a_word_of_its_own(banks: int, stride: int) -> None:
    """Also the columns beyond the map that the last group of any number of columns writes."""
    for width in range(1, 41):
        written = -(-width // banks) * banks
        places = [_place(x, width, banks, stride) for x in range(written)]
        assert len(set(places)) == written
        assert all(0 <= word < bank_columns(width, banks, stride) for _, word in places), width


@pytest.mark.parametrize("banks", BANKS)
def test_columns_of_today_lie_where_they_lay(banks: int) -> None:
    """Stride 1: bank x mod B. Stride 2: odd columns begin half of the banks further, rounded up."""
    assert class_offsets(banks, 1) == (0,)
    assert class_offsets(banks, 2) == (0, -(-banks // 2) % banks)
    power = stream_columns(banks)
    assert banks % power == 0
    assert banks // power % 2 == 1
    assert power & (power - 1) == 0

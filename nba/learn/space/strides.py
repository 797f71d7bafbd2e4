# SPDX-License-Identifier: Apache-2.0
"""Strides of layers and blocks: one number where rows and columns have the same, else [rows, columns]."""

from __future__ import annotations

from nba.ir.network_rules import MAX_STRIDE

Stride = int | tuple[int, int]
"""Input rows and columns from one output to the next; a pair only where they differ (`shortest`)."""
STRIDE_TEXT = f"a number from 1 to {MAX_STRIDE}, or [rows, columns] of these"
"""What a stride may be, as messages say it."""


def both(stride: Stride) -> tuple[int, int]:
    """(rows, columns)."""
    return stride if isinstance(stride, tuple) else (stride, stride)


def shortest(stride: Stride) -> Stride:
    """The same stride as one number where rows and columns agree, so that a stride has one form in values and files."""
    return stride[0] if isinstance(stride, tuple) and len(stride) == 2 and stride[0] == stride[1] else stride


def stride_text(stride: Stride) -> str:
    """`stride` as a spec has it."""
    found = shortest(stride)
    return str(list(found)) if isinstance(found, tuple) else str(found)


def is_stride(value: object) -> bool:
    """Whether `value` is a legal stride."""
    steps = value if isinstance(value, tuple) else (value, value)
    return len(steps) == 2 and all(type(step) is int and 1 <= step <= MAX_STRIDE for step in steps)

# SPDX-License-Identifier: Apache-2.0
"""Boards: what the device has, its target clock, the choice of block or distributed memory, energies, logic."""

from nba.boards.energy import HOROWITZ_45NM, EnergyTable
from nba.boards.family import FAMILIES, Family
from nba.boards.logic import LogicTable
from nba.boards.platform import ExternalMemory, MemoryStyle, Platform
from nba.boards.table import get, load_board, names

__all__ = [
    "FAMILIES", "HOROWITZ_45NM", "EnergyTable", "ExternalMemory", "Family", "LogicTable", "MemoryStyle", "Platform",
    "get", "load_board", "names",
]  # fmt: skip

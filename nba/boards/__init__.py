# SPDX-License-Identifier: Apache-2.0
"""Named boards: what the device has, its target clock, the choice of block or distributed memory, energies, logic."""

from nba.boards.energy import HOROWITZ_45NM, EnergyTable
from nba.boards.logic import LogicTable
from nba.boards.table import PLATFORMS, MemoryStyle, Platform, get, names

__all__ = ["HOROWITZ_45NM", "PLATFORMS", "EnergyTable", "LogicTable", "MemoryStyle", "Platform", "get", "names"]

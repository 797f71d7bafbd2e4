# SPDX-License-Identifier: Apache-2.0
"""Named boards: what the device has, its target clock, the choice of block or distributed memory, energies, logic."""

from nba.platform.energy import HOROWITZ_45NM, EnergyTable
from nba.platform.logic import LogicTable
from nba.platform.table import PLATFORMS, MemoryStyle, Platform, get, names

__all__ = ["HOROWITZ_45NM", "PLATFORMS", "EnergyTable", "LogicTable", "MemoryStyle", "Platform", "get", "names"]

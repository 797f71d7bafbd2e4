# SPDX-License-Identifier: Apache-2.0
"""Named boards: what the device has, its target clock and the choice of block or distributed memory."""

from nba.platform.table import PLATFORMS, MemoryStyle, Platform, get, names

__all__ = ["PLATFORMS", "MemoryStyle", "Platform", "get", "names"]

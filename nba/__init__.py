# SPDX-License-Identifier: Apache-2.0
"""nba-codesign: joint search of networks, bitwidths and chunk-based accelerators, down to proved hardware."""

__version__ = "0.1.0"

# SPDX-License-Identifier: Apache-2.0
"""Ready values of the section `schedule` of a spec, as they would stand in YAML; fields beside a preset override it.

published-*: whole schedules of papers (nba.published). quick: minutes on a CPU. Recipes of training alone:
nba.learn.train.recipes. Network spaces: nba.learn.space.presets.
"""

from __future__ import annotations

from typing import Any

from nba.published import PUBLISHED

SCHEDULES: dict[str, dict[str, Any]] = {
    **{name: {"search": preset.search, "train": preset.train} for name, preset in PUBLISHED.items()},
    "quick": {
        "search": {
            "pretrain_epochs": 2, "joint_epochs": 6, "steps_per_epoch": 10, "hardware_first": 1000,
            "hardware_last": 2000,
        },
        "train": {"epochs": 20},
    },
}  # fmt: skip
"""Section `schedule`."""

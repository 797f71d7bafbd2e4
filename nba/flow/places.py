# SPDX-License-Identifier: Apache-2.0
"""The folders of a build, one per stage, and what else lies in it."""

from __future__ import annotations

SEARCH = "search"
"""The architecture: searched, or given."""
TRAIN = "train"
"""The trained integer networks, test images and class names; or a network that was given."""
MAPPING = "mapping"
"""The loop nests of a switchable network."""
DESIGN = "design"
BUNDLE = "bundle"
VERIFY = "verify"
SYNTH = "synth"
BASELINES = "baselines"
REPORT = "report"

STATE = ".nba"
"""The runner's own files: lock, spec, stamps, the folders in which stages work, and decoded images."""

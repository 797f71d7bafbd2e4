# SPDX-License-Identifier: Apache-2.0
"""Tests of a group share what they build: pytest-xdist must keep them on one worker."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("probe")
def test_groups_stay_on_one_worker(request: pytest.FixtureRequest) -> None:
    """pytest-xdist appends the group to the node id; pytest 9.2 with pytest-xdist 3.8 loses it, and every worker then
    builds everything again, silently."""
    grouped = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@probe") == grouped, "pytest does not fit pytest-xdist: see constraints.txt"

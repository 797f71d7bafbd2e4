# SPDX-License-Identifier: Apache-2.0
"""What all processes of a test run share."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests import object_cache


def pytest_configure(config: pytest.Config) -> None:
    """Before the workers of pytest-xdist start, which inherit the environment."""
    shared = ExitStack()
    shared.enter_context(object_cache.shared())
    config.add_cleanup(shared.close)

# SPDX-License-Identifier: Apache-2.0
"""What all processes of a test run share."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from tests import object_cache


def pytest_configure(config: pytest.Config) -> None:
    """Before the workers of pytest-xdist start, which inherit the environment. One thread of OpenMP each: small tensors
    gain nothing from more, and the workers share the machine."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    shared = ExitStack()
    shared.enter_context(object_cache.shared())
    config.add_cleanup(shared.close)

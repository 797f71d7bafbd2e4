# SPDX-License-Identifier: Apache-2.0
"""What all processes of a test run share."""

from __future__ import annotations

import gc
from contextlib import ExitStack

import pytest

from tests import object_cache, sampling


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(sampling.OPTION, action="store_true", help="of the tests marked `sampled`, run some of the cases")


def pytest_configure(config: pytest.Config) -> None:
    """Before the workers of pytest-xdist start, which inherit the environment."""
    shared = ExitStack()
    shared.enter_context(object_cache.shared())
    config.add_cleanup(shared.close)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that this run does not take."""
    if not config.getoption(sampling.OPTION):
        return
    out = sampling.left_out(items)
    if out:
        gone = {id(item) for item in out}
        items[:] = [item for item in items if id(item) not in gone]
        config.hook.pytest_deselected(items=out)


def pytest_collection_finish() -> None:
    """What thousands of collected tests consist of is not garbage: collections need not visit it again and again."""
    gc.collect()
    gc.freeze()

# SPDX-License-Identifier: Apache-2.0
"""HLS == integer reference for every operator alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hls.bench import Group, compile_group
from tests.hls.operators import OPERATORS, operator_case

pytestmark = pytest.mark.xdist_group("hls-operators")


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    return compile_group(tmp_path_factory.mktemp("operators"), tuple(operator_case(o) for o in OPERATORS))


@pytest.mark.parametrize("index", range(len(OPERATORS)), ids=[o.name for o in OPERATORS])
def test_operator(group: Group, index: int) -> None:
    np.testing.assert_array_equal(group.outputs(index), group.cases[index].expected)

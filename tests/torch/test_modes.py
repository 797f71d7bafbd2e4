# SPDX-License-Identifier: Apache-2.0
"""The integer networks of a switchable network are modes of one machine."""

from __future__ import annotations

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.explore.modes import mode_bitwidths, modes_design, widest
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.ir.reference import run
from nba.ir.shared import SharedNetworks, shared
from nba.learn.quant.export import export
from nba.learn.switchable.config import Cascade
from nba.learn.switchable.export import master_arrays
from nba.machine.program import lower
from nba.machine.total import exact_cost
from nba.zoo.weights import random_codes
from tests.strategies import random_accelerator
from tests.torch.test_switchable import NESTED, WIDE, _lived

pytestmark = pytest.mark.torch
PLATFORM = get("pynq-z2")


def accelerator_for(network: Network) -> Accelerator:
    """A random one that does not deadlock."""
    rng = np.random.default_rng(3)
    while True:
        found = random_accelerator(rng, network, calm=True)
        try:
            exact_cost((lower(network, found),), PLATFORM)
        except DeadlockError:
            continue
        return found


@pytest.mark.parametrize(
    "config",
    [NESTED, NESTED.but(stem_bits=8, classifier_bits=4), WIDE],
    ids=["2 to 8 bits", "fixed ends", "beyond 8 bits"],
)
def test_bitwidths_become_modes(config: Cascade) -> None:
    model = _lived(config)
    model.freeze(True)
    masters = master_arrays(model)
    exact = [(i, bits) for i, bits in enumerate(model.bitwidths) if bits <= 8 or bits == 16]
    pairs = [shared(*export(model.network(i)), masters) for i, _ in exact]
    found = SharedNetworks(
        bitwidths=tuple(bits for _, bits in exact),
        masters=masters,
        networks=tuple(network for network, _ in pairs),
        weights=tuple(weights for _, weights in pairs),
    )
    bits = mode_bitwidths(found)
    assert bits == tuple(b for b in model.bitwidths if b <= 8)
    network, _ = widest(found)
    design, weights = modes_design(found, accelerator_for(network), PLATFORM, name="switchable", seed=1)
    assert len(design.networks) == len(bits)
    x = random_codes(np.random.default_rng(4), network.tensors[0], 3)
    outputs = [run(*design.mode(m, weights), x) for m in range(len(bits))]
    for m, b in enumerate(bits):
        assert (outputs[m] == run(*found.at(b), x)).all()
    assert len({y.tobytes() for y in outputs}) == len(bits)

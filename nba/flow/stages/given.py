# SPDX-License-Identifier: Apache-2.0
"""Stage given, in the place of search and training: the network that the spec's section `given` names, for `map`. Needs
no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.core.errors import SpecError
from nba.flow import places
from nba.flow.artifacts import save_network, write_part
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.ir.network import Network
    from nba.spec import Spec
    from nba.zoo.config import GivenNetwork


def layers_of_given(given: GivenNetwork) -> Network:
    """The layers of the network, without weights. Raises SpecError if the template's integers cannot express them."""
    from nba.ir.check import check_network
    from nba.zoo.networks import ZOO

    network = ZOO[given.published].build(given.image)
    problems = check_network(network)
    if problems:
        raise SpecError(
            f"given.image: {given.published} for images of {given.image}x{given.image} cannot be built with the "
            f"template: {'; '.join(problems[:3])}; give another size"
        )
    return network


def check(spec: Spec) -> None:
    """Raise SpecError if the network cannot be built."""
    assert spec.given is not None
    layers_of_given(spec.given)


def run(context: Context) -> None:
    """Writes network.json and weights.npz, as training does. It leaves no test images: a bundle without has random
    frames from the seed of its design."""
    import numpy as np

    from nba.zoo.weights import random_weights

    given = context.spec.given
    assert given is not None
    rng = np.random.default_rng(context.spec.seed)
    network, weights = random_weights(rng, layers_of_given(given), symmetric=True)
    save_network(network, weights, context.folder)
    write_part(
        context.folder, {"given": {"published": given.published, "image": given.image, "weights": given.weights}}
    )


STAGE = Stage(
    name="given", title="the given network", folder=places.TRAIN, run=run, check=check, sections=("seed", "given"),
    packages=("numpy",),
)  # fmt: skip

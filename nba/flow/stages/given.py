# SPDX-License-Identifier: Apache-2.0
"""Stage given, in the place of search and training: the network that the spec's section `given` names, for `map`. Needs
no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.errors import SpecError
from nba.flow import places
from nba.flow.artifacts import save_network, write_part
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.flow.metrics_model import ImportFigures
    from nba.imports.compare import LiteRTAgreement
    from nba.ir.network import Network
    from nba.spec import Spec
    from nba.zoo.config import GivenNetwork

INPUTS = 4
"""Random inputs for which a network of another tool is compared with that tool."""


def layers_of_given(given: GivenNetwork) -> Network:
    """The layers of a published network, without weights. Raises SpecError if the template's integers cannot express
    them."""
    from nba.ir.check import check_network
    from nba.zoo.networks import ZOO

    assert given.published is not None
    assert given.image is not None
    network = ZOO[given.published].build(given.image)
    problems = check_network(network)
    if problems:
        raise SpecError(
            f"given.image: {given.published} for images of {given.image}x{given.image} cannot be built with the "
            f"template: {'; '.join(problems[:3])}; give another size"
        )
    return network


def check(spec: Spec) -> None:
    """Raise NbaError if the network cannot be built."""
    from nba.imports.load import examine

    assert spec.given is not None
    if spec.given.file is None:
        layers_of_given(spec.given)
    else:
        examine(Path(spec.given.file)).importable  # noqa: B018


def run(context: Context) -> None:
    """Writes network.json and weights.npz, as training does. It leaves no test images: a bundle without has random
    frames from the seed of its design."""
    given = context.spec.given
    assert given is not None
    if given.file is not None:
        import_network(Path(given.file), context.folder, count=INPUTS, seed=context.spec.seed)
        return
    import numpy as np

    from nba.zoo.weights import random_weights

    rng = np.random.default_rng(context.spec.seed)
    network, weights = random_weights(rng, layers_of_given(given), symmetric=True)
    save_network(network, weights, context.folder)
    write_part(
        context.folder, {"given": {"published": given.title, "image": network.tensors[0].height, "weights": "random"}}
    )


def import_network(path: Path, folder: Path, *, count: int, seed: int) -> LiteRTAgreement:
    """Write network.json, weights.npz and the part of the metrics of the network in a file that another tool wrote,
    compared with that tool on `count` random inputs from `seed`. Raises NbaError, which names everything that cannot be
    built."""
    from nba.core.sources import digest_file
    from nba.imports.load import examine

    examined = examine(path).importable
    found = examined.found
    assert found.network is not None
    from nba.imports.compare import compare_with_litert

    agreed = compare_with_litert(path, found, count=count, seed=seed)
    save_network(found.network, found.weights, folder)
    figures: ImportFigures = {
        "file": path.name,
        "sha256": digest_file(path),
        "operators": len(examined.source.nodes),
        "layers": len(found.network.layers),
        "before": list(examined.graph.before),
        "after": list(examined.graph.after),
        "inputs": agreed.inputs,
        "same_class": agreed.classes,
        "codes": agreed.codes,
        "own": {"differing": agreed.own_differing, "largest": agreed.own_largest},
        "chained": {"differing": agreed.chained_differing, "largest": agreed.chained_largest},
        "holds": agreed.holds,
        "by_layer": [
            {
                "name": layer.name, "codes": layer.codes,
                "own": {"differing": layer.own_differing, "largest": layer.own_largest},
                "chained": {"differing": layer.chained_differing, "largest": layer.chained_largest},
                "sqnr_db": layer.sqnr_db,
            }
            for layer in agreed.layers
        ],
    }  # fmt: skip
    write_part(folder, {"imported": figures})
    return agreed


STAGE = Stage(
    name="given", title="the given network", folder=places.TRAIN, run=run, check=check, sections=("seed", "given"),
    packages=("numpy", "ai-edge-litert"),
)  # fmt: skip

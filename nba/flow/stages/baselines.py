# SPDX-License-Identifier: Apache-2.0
"""Stage baselines: the searched architecture in floating point and with 8 bits everywhere, to compare accuracies with.

Nothing of the design depends on it: where a baseline diverges, the metrics say so, and the run goes on. Without
`schedule.train.baselines` it leaves an empty part of the metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.core import arithmetic
from nba.core.errors import DivergedError
from nba.core.files import write_atomic_bytes
from nba.flow import places
from nba.flow.architecture import chosen
from nba.flow.artifacts import measured, write_part
from nba.flow.data import learning_preflight, load_data
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.flow.metrics_model import BaselineFigures


def run(context: Context) -> None:
    """Writes metrics-part.json. Of several processes that train together, rank 0 alone measures and writes.

    Where the network in floating point was the teacher, it is the first baseline, and is not trained again.
    """
    if not context.spec.schedule.train.baselines:
        write_part(context.folder, {})
        return
    from nba.learn.train import ranks
    from nba.learn.train.baselines import FLOAT_FILE, fit_baselines
    from nba.learn.train.config import FLOAT_TEACHER
    from nba.learn.train.loop import TEACHER

    schedule = context.spec.schedule.train
    taught = schedule.distillation is not None and schedule.distillation.teacher == FLOAT_TEACHER
    if taught and ranks.current().writes and not (context.folder / FLOAT_FILE).exists():
        write_atomic_bytes(context.folder / FLOAT_FILE, (context.of(places.TRAIN) / TEACHER).read_bytes())
    ranks.current().wait()
    dataset = load_data(context, schedule.resized_crop)
    try:
        found = fit_baselines(chosen(context), dataset, schedule, context.spec.seed, context.folder, context.progress)
    except DivergedError as err:
        write_part(context.folder, {"baselines_failed": str(err)})
        return
    if found is None:
        return
    images = len(dataset.test_y)
    baselines: BaselineFigures = {
        "float": {"accuracy": found.floating, **measured(found.floating, images)},
        "int8": {"accuracy": found.int8, **measured(found.int8, images)},
    }
    write_part(context.folder, {"baselines": baselines, "arithmetic": {"baselines": arithmetic.used()}})


STAGE = Stage(
    name="baselines", title="baselines of the same architecture", folder=places.BASELINES, run=run,
    preflight=learning_preflight, after=("search", "train"),
    sections=("seed", "dataset", "precision", "schedule.train"),
    packages=("torch", "numpy", "scikit-learn"), together=True, scratch=("float.pt", "int8.pt"),
)  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""LiteRT's reference kernels on one file, as a program of its own: a file that makes them fail, or end the process,
does so here. It imports nothing of nba.

    python litert.py MODEL RESULT SEED FIRST END [TENSOR ...]

executes the inputs FIRST to END - 1, drawn from SEED, or those of inputs.npy beside MODEL, and leaves the tensors with
these numbers in RESULT, an .npz file: `<input>_<place>` is what TENSOR number `place` was for an input. The exit status
is REFUSED, after a message on stdout, if LiteRT does not take the file.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

REFUSED = 4
INPUTS_FILE = "inputs.npy"


def _random_input(seed: int, number: int, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Random codes, or real numbers where the file takes such."""
    rng = np.random.default_rng([seed, number])
    if np.issubdtype(kind, np.integer):
        ends = np.iinfo(kind)
        return rng.integers(ends.min, ends.max + 1, shape).astype(kind)
    return rng.uniform(-1.0, 1.0, shape).astype(kind)


def _execute(model: Path, seed: int, numbers: range, tensors: list[int]) -> dict[str, np.ndarray]:
    """The tensors of every input. Raises ValueError or RuntimeError if LiteRT refuses the file or an input."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True, num_threads=1,
    )  # fmt: skip
    interpreter.allocate_tensors()
    (first,) = interpreter.get_input_details()
    shape, kind = tuple(int(n) for n in first["shape"]), np.dtype(first["dtype"])
    given = model.with_name(INPUTS_FILE)
    inputs = np.load(given) if given.exists() else None
    found = {}
    for number in numbers:
        x = _random_input(seed, number, shape, kind) if inputs is None else inputs[number]
        if x.dtype != kind or x.size != math.prod(shape):
            raise ValueError(f"inputs of type {x.dtype}, shape {list(x.shape)}; legal: {kind} {list(shape)}")
        interpreter.set_tensor(first["index"], x.reshape(shape))
        interpreter.invoke()
        found.update({f"{number}_{place}": interpreter.get_tensor(tensor) for place, tensor in enumerate(tensors)})
    return found


def _main(arguments: list[str]) -> int:
    """The program."""
    model, result, *numbers = arguments
    seed, first, end, *tensors = map(int, numbers)
    try:
        found = _execute(Path(model), seed, range(first, end), tensors)
    except (ValueError, RuntimeError) as err:
        print(f"refused: {err!s:.600}")
        return REFUSED
    with Path(result).open("wb") as handle:
        np.savez(handle, **found)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))

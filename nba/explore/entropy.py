# SPDX-License-Identifier: Apache-2.0
"""How undecided a search over accelerators is."""

from __future__ import annotations

import numpy as np


def mean_entropy(logits: np.ndarray, valid: np.ndarray) -> float:
    """Mean over parameters of the entropy of softmax(logits) [parameters, options] over the options that are `valid`
    (bool), in units of its maximum; parameters with a single option do not count. 0 if none is left."""
    open_ = valid.sum(1) > 1
    if not open_.any():
        return 0.0
    masked = np.where(valid, logits, -np.inf)[open_]
    p = np.exp(masked - masked.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = -(p * np.log(np.where(p > 0, p, 1.0))).sum(1)
    return float((rows / np.log(valid[open_].sum(1))).mean())

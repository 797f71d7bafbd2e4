# SPDX-License-Identifier: Apache-2.0
"""One thread: small tensors gain nothing from more, and tests share the machine."""

from __future__ import annotations

import torch

torch.set_num_threads(1)

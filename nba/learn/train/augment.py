# SPDX-License-Identifier: Apache-2.0
"""Random changes of training images, on whole batches of input codes.

With `rows`, the batch is this process's part: the random numbers are those of a batch of `total` images, of which these
are the rows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nba.learn.train.augmentation import Warp


def images(x_BHWC: np.ndarray) -> Tensor:
    """uint8 input codes [B, H, W, C] as floats [B, C, H, W], channels last in memory."""
    return torch.from_numpy(x_BHWC).float().permute(0, 3, 1, 2)


def augment(
    x_BCHW: Tensor, warp: Warp, generator: torch.Generator, rows: Tensor | None = None, total: int | None = None
) -> Tensor:
    """Every image of input codes changed at random within `warp`: codes again (bilinear, rounded half up; zeros come in
    from outside)."""
    count = len(x_BCHW) if total is None else total
    rows = torch.arange(count) if rows is None else rows
    u = (2.0 * torch.rand(5, count, generator=generator) - 1.0)[:, rows].to(x_BCHW.device)
    if warp.crop_pixels:
        corner = torch.randint(0, 2 * warp.crop_pixels + 1, (2, count), generator=generator)[:, rows]
        x_BCHW = _cropped(x_BCHW, corner.to(x_BCHW.device), warp.crop_pixels)
    if any((warp.shift_pixels, warp.rotation_degrees, warp.zoom)):
        return _warped(x_BCHW, warp, u)
    return torch.where((u[4] < 0)[:, None, None, None], x_BCHW.flip(3), x_BCHW) if warp.mirror else x_BCHW


def _cropped(x_BCHW: Tensor, corner_2B: Tensor, pad: int) -> Tensor:
    batch, _, height, width = x_BCHW.shape
    padded_BHWC = functional.pad(x_BCHW, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    rows = corner_2B[0, :, None] + torch.arange(height, device=x_BCHW.device)
    columns = corner_2B[1, :, None] + torch.arange(width, device=x_BCHW.device)
    image = torch.arange(batch, device=x_BCHW.device)[:, None, None]
    return padded_BHWC[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _warped(x_BCHW: Tensor, warp: Warp, u: Tensor) -> Tensor:
    _, _, height, width = x_BCHW.shape
    angle, size = torch.deg2rad(u[0] * warp.rotation_degrees), 1.0 + u[1] * warp.zoom
    cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
    flip = torch.where(u[4] < 0, -1.0, 1.0) if warp.mirror else torch.ones_like(u[4])
    move_x, move_y = 2.0 * warp.shift_pixels * u[2] / width, 2.0 * warp.shift_pixels * u[3] / height
    rows = [torch.stack([cos * flip, -sin * (height / width), move_x], 1)]
    rows.append(torch.stack([sin * flip * (width / height), cos, move_y], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), list(x_BCHW.shape), align_corners=False)
    warped = functional.grid_sample(x_BCHW, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return torch.floor(warped + 0.5).contiguous(memory_format=torch.channels_last)


def mixed(x_BCHW: Tensor, mixup: float, generator: torch.Generator) -> tuple[Tensor, float]:
    """(codes, share): the batch blended with itself in reverse, whose share is `share`, uniform in 0..mixup/2."""
    if mixup == 0.0:
        return x_BCHW, 0.0
    share = 0.5 * mixup * float(torch.rand((), generator=generator))
    return torch.floor(torch.lerp(x_BCHW, x_BCHW.flip(0), share) + 0.5), share

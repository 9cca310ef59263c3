"""Multi-scale deformable attention in a form that runtimes execute fast: Deformable DETR, arXiv 2010.04159, eq. 3.

The usual implementation in PyTorch samples every point of every level, stacks the samples and sums them. In the traced
graph of Mask2Former the stack and the sum over a dozen elements are the slowest operators in OpenVINO. Here the samples
of each point and level are added to the sum one by one, which runtimes fuse with the product. The result is the same
sum in another order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_NAME = "multi_scale_deformable_attention"  # name of the function in the modules of transformers


@contextmanager
def unstacked(model: torch.nn.Module) -> Iterator[None]:
    """Replace the attention function in the transformers module of a model by `attend`, within a `with` block."""
    module = sys.modules[type(model).__module__]
    theirs = getattr(module, _NAME, None)
    if theirs is None:
        yield
        return
    setattr(module, _NAME, attend)
    try:
        yield
    finally:
        setattr(module, _NAME, theirs)


def attend(
    value: torch.Tensor, shapes: Sequence[tuple[int, int]], locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Compute the weighted sum of the values at the points of every level.

    Args:
        value: (batch, cells of all levels, heads, width).
        shapes: (height, width) of each level, in the order of the cells.
        locations: (batch, queries, heads, levels, points, 2), x and y, 0 to 1 from edge to edge of a level.
        weights: (batch, queries, heads, levels, points).

    Returns:
        (batch, queries, heads * width).
    """
    from torch.nn.functional import grid_sample

    batch, _, heads, width = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    levels = value.split([high * wide for high, wide in shapes], dim=1)
    grids = (2 * locations - 1).permute(3, 4, 0, 2, 1, 5)  # level, point, batch, head, query, x and y
    shares = weights.permute(3, 4, 0, 2, 1)
    total = None
    for level, (high, wide) in enumerate(shapes):
        plane = levels[level].permute(0, 2, 3, 1).reshape(batch * heads, width, high, wide)
        for point in range(points):
            grid = grids[level, point].reshape(batch * heads, 1, queries, 2)
            sampled = grid_sample(plane, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
            part = sampled * shares[level, point].reshape(batch * heads, 1, 1, queries)
            total = part if total is None else total + part
    if total is None:
        raise ValueError("expected at least one level of at least one point, found none")
    return total.reshape(batch, heads * width, queries).transpose(1, 2)

"""Crossing: whether to compute patches around anchors or a whole level, by which is less work."""

from __future__ import annotations

from typing import Literal, get_args

from fastsam_trt.errors import OptionError
from fastsam_trt.sparse.anchor_grid import Level

ComputeName = Literal["auto", "sparse", "dense"]
"""`sparse`: only what can be selected; `dense`: everything, for every frame; `auto`: whichever is less work."""

COMPUTE_NAMES: tuple[ComputeName, ...] = get_args(ComputeName)

_BACK = 0.75  # of the crossing: below it patches again, so that a stream near the crossing does not alternate


def check_compute(compute: str) -> None:
    """Check what a caller wants to be computed.

    Raises:
        OptionError: It is none of `COMPUTE_NAMES`.
    """
    if compute not in COMPUTE_NAMES:
        raise OptionError("compute", " or ".join(COMPUTE_NAMES), compute)


def rule(reach: int) -> str:
    """What `auto` does, in one line.

    Args:
        reach: Cells that the head sees on each side of an anchor.
    """
    side = 2 * reach + 1
    per_patch = _cells_per_patch(reach)
    return (
        f"auto: patches of {side} x {side} cells around the anchors that can be selected; a whole level if they are "
        f"more than 1 in {per_patch} of its anchors, until they are at most {_BACK:g} of that; on a GPU whole levels"
    )


class Crossing:
    """Decides level by level. Any thread may ask it.

    The first convolution of a head is most of its work: it computes (2 * reach - 1) squared cells per patch, but every
    cell of a level only once. Measured on two CPU cores (OpenVINO, fp32 and bf16, YOLOv8n-seg), a whole level takes as
    long as a ninth of its cells in patches: so many cells are computed in both cases. The same is true for all levels.
    """

    def __init__(self, compute: ComputeName, reach: int, *, on_host: bool) -> None:
        """Start with patches.

        Args:
            compute: What the caller wants.
            reach: Cells that the head sees on each side of an anchor.
            on_host: Whether the graphs run on the CPU. On a device, `auto` computes whole levels: there the
                transfer of indices costs more than the convolutions, and the rows of chosen anchors alone come back.
        """
        self._compute = "dense" if compute == "auto" and not on_host else compute
        self._per_patch = _cells_per_patch(reach)
        self._whole: dict[int, bool] = {}

    def whole(self, level: Level, anchors: int) -> bool:
        """Whether to compute a whole level for a number of its anchors."""
        if self._compute != "auto":
            return self._compute == "dense"
        share = _BACK if self._whole.get(level.stride) else 1.0
        whole = anchors * self._per_patch > share * level.cells
        self._whole[level.stride] = whole
        return whole

    @property
    def always_whole(self) -> bool:
        """Whether whole levels are computed for every frame."""
        return self._compute == "dense"


def _cells_per_patch(reach: int) -> int:
    """Cells that the first convolution computes for a patch."""
    return max(2 * reach - 1, 1) ** 2

"""BoxHead: the boxes of chosen anchors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_trt.sparse.crossing import ComputeName
from fastsam_trt.sparse.features import FrameFeatures
from fastsam_trt.sparse.head import Head


class BoxHead:
    """Computes boxes from features.

    The graph ends with a distribution over distances per side of a box (Generalized Focal Loss, arXiv 2006.04388), or
    with the distances themselves. The rest is computed here in fp32, also where the graph computes in less.
    """

    def __init__(self, session: Session) -> None:
        """Use the graph `M.heads.onnx`, open; see `Head`."""
        self._head = Head(session)
        (self._output,) = (output.name for output in session.spec.outputs)

    def use_compute(self, compute: ComputeName) -> None:
        """Set whether to compute patches or whole levels."""
        self._head.use_compute(compute)

    def boxes(
        self, features: FrameFeatures, anchors: NDArray[np.intp], images: NDArray[np.intp] | None = None
    ) -> NDArray[np.float32]:
        """The boxes of (n,) anchors: (n, 4) float32 xyxy, px of the model's input.

        Args:
            features: Of the frame, or of a batch.
            anchors: (n,) indices of anchors.
            images: (n,) their images in the batch; None: all of the first image.
        """
        if not len(anchors):
            return np.empty((0, 4), np.float32)
        (outputs, _), rows = self._head.run(features, anchors, images=images)
        centres, strides = features.grid.centres(anchors)
        sides = distances(np.asarray(outputs[self._output][rows], np.float32))
        corners = np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1)
        corners *= strides[:, None]
        return corners


def distances(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances from anchors to the sides of their boxes.

    Args:
        raw: (n, 4 * bins) float32: logits of 0, 1, ... bins - 1 cells, for the left, top, right and bottom side. One
            bin: the distances.

    Returns:
        (n, 4) float32, cells.
    """
    bins = raw.shape[1] // 4
    if bins == 1:
        return raw
    # Bins first: numpy reduces over the first axis several times as fast as over a short last one.
    powers = np.ascontiguousarray(raw.reshape(-1, bins).T)
    powers -= powers.max(axis=0)
    np.exp(powers, out=powers)
    means = np.einsum("br,b->r", powers, np.arange(bins, dtype=np.float32)) / powers.sum(axis=0)
    return np.asarray(means.reshape(-1, 4), np.float32)

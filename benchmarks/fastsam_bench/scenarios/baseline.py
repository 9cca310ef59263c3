"""The usual way to select by prompt: decode every mask at full size, embed every crop, and encode texts per frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.spec.model_input import TokenInput
from fastsam_engine.store.model_store import sibling_graph
from fastsam_trt.bundled_models import locate
from fastsam_trt.clip.tokenizer import TextTokenizer
from fastsam_trt.segmentation.segments import Segments


class TextTower:
    """The text tower of a CLIP model, without a cache."""

    def __init__(self, clip: str | Path, backend: str = "auto", device: str = "auto") -> None:
        """Open it in fp32, as the pipeline does on a CPU.

        Args:
            clip: Name or folder.
            backend, device: See `fastsam_engine.open_session`.

        Raises:
            FastsamError: It can't be opened.
        """
        graph = sibling_graph(find_graph(locate(clip), "image"), "text", graph_part="image")
        self._session = open_session(graph, backend, device, "fp32", cpu_fallback=True)
        tokens = cast("TokenInput", read_spec(graph).input)
        self._tokenizer = TextTokenizer(graph.with_name("tokenizer.json"), tokens)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to (n, d) float32, rows of length one."""
        name, given = self._session.spec.input_names[0], self._session.spec.outputs[0].name
        return np.asarray(self._session.run({name: self._tokenizer.tokenize(list(texts))})[given], np.float32)


def has_full_masks(segments: Segments) -> bool:
    """Whether `full_masks` can decode the masks: they must be made of prototypes on the host."""
    return hasattr(segments.masks, "_prototypes")


def full_masks(segments: Segments, height: int, width: int) -> NDArray[np.bool_]:
    """Decode every mask at the size of the frame: prototypes x coefficients, resized, cropped to the box.

    Args:
        segments: n segments of a segmenter with prototypes.
        height, width: Size of the frame, px.

    Returns:
        (n, height, width) bool.
    """
    source: Any = segments.masks
    prototypes, coefficients = source._prototypes.map, source._coefficients  # noqa: SLF001 - we hand out no raw ones
    placed = source._resize.letterbox  # noqa: SLF001
    down, across = prototypes.shape[1] / placed.input_h, prototypes.shape[2] / placed.input_w
    top, left = round(placed.top * down), round(placed.left * across)
    bottom = round((placed.top + placed.content_h) * down)
    right = round((placed.left + placed.content_w) * across)
    logits = np.tensordot(coefficients, prototypes, 1)[:, top:bottom, left:right]
    masks = np.zeros((len(segments), height, width), np.bool_)
    columns, rows = np.arange(width), np.arange(height)
    for mask, each, (x0, y0, x1, y1) in zip(masks, logits, segments.boxes, strict=True):
        full = cv2.resize(each, (width, height), interpolation=cv2.INTER_LINEAR)
        inside = ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))
        mask[:] = (full > 0) & inside
    return masks

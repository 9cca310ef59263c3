"""Measure batches of frames, as for files, where only throughput counts."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_bench.cases.case import CellCase
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.scenarios.scenario import Scenario, register
from fastsam_bench.timing.blocks import WHOLE, Times
from fastsam_trt.frames.preprocess import FramePreprocessor


@register("offline")
class Offline(Scenario):
    """One batch per call: frames are decoded and preprocessed on the host, run together, and all masks are decoded.

    A pipeline takes one frame at a time, so this uses its parts directly. Everything is selected. The stages are those
    of `SingleStream`, for the whole batch.
    """

    def __init__(self, case: CellCase, opened: OpenedModel) -> None:
        super().__init__(case, opened)
        self._decoder = opened.open_decoder()
        self._preprocess = FramePreprocessor(opened.image)
        self._batch: NDArray[Any] = np.empty(0)

    def call(self) -> Times:
        clock, session = self.opened.clock, self.opened.session
        thresholds = self.opened.pipeline.segmenter.thresholds
        spent = dict.fromkeys(("capture", "preprocess", "engine", "postprocess", "decode"), 0.0)
        self.frames.prepare()
        clock.clear()
        start = now = time.perf_counter()

        def took(stage: str) -> None:
            nonlocal now
            before, now = now, time.perf_counter()
            spent[stage] += (now - before) * 1e3

        placed = self.opened.placed(self.frames.size)
        for index in range(self.case.batch):
            picture = self.frames.capture()
            took("capture")
            array, placed = self._preprocess.prepare(picture)
            if self._batch.shape[1:] != array.shape[1:]:
                self._batch = np.empty((self.case.batch, *array.shape[1:]), array.dtype)
            self._batch[index] = array[0]
            took("preprocess")
        outputs, _ = session.run_kept({self.opened.image.name: self._batch}, ())
        took("engine")
        found = []
        for index in range(self.case.batch):
            one = {name: output[index : index + 1] for name, output in outputs.items()}
            found.append(self._decoder.decode(one, placed, thresholds))
        took("postprocess")
        for segments in found:
            segments.masks.decode(range(len(segments)))
        took("decode")
        self.segments.extend(len(segments) for segments in found)
        self.keep_shapes()
        return {WHOLE: (now - start) * 1e3, **spent}

"""Clip: crops and prompts to embeddings in one space."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session, find_graph, open_session, read_spec
from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.concurrency.closable import Closable
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.errors import ModelFileError
from fastsam_engine.run_observers import RunObserver, RunObservers
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.store.home_folder import home
from fastsam_engine.store.model_store import beside
from fastsam_trt.bundled_models import locate
from fastsam_trt.clip.crops import clip_batch, middle_square, square_windows
from fastsam_trt.clip.text_embeddings import TextFeatures
from fastsam_trt.clip.tokenizer import TextTokenizer
from fastsam_trt.frames.helper_graphs import open_helpers, takes
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.masks.batch_ladder import batches, filled
from fastsam_trt.segmentation.segments import Segments

_CROPS_A_RUN = 16


class Clip(Closable):
    """An exported CLIP model: image tower, text tower (opened on need), tokenizer.

    Any thread may call it, and any number of pipelines share it. Crops of several callers are cut side by side, and go
    through the tower side by side where its session allows that (see `Session`); where they are cut on a GPU, one batch
    goes after the other. `close` leaves every pipeline that shares it without it.

    Attributes:
        text: Embeddings of prompts.
        logit_scale: Factor from cosine to logits that the model was trained with.
        uploads: Where frames come from when crops are cut on the device.
        even_cosine: Cosine at which a prompt is as likely right as wrong; None for a model without calibration.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        cache: Path | None = None,
        frames_on_device: bool | None = None,
        uploads: FrameUploads | None = None,
    ) -> None:
        """Open the image tower.

        Args:
            model: Short name or folder; `demo-clip` comes with the package.
            backend, device, precision, threads: See `fastsam_engine.open_session`. On a processor the text tower
                runs in fp32, and on a GPU it may leave operators to the processor: it runs once a prompt.
            cache: Where text features are kept; None: in `$FASTSAM_TRT_HOME`.
            frames_on_device: Whether the model's crops graph cuts crops where it runs; None: where that is a GPU and
                the model has it.
            uploads: Where frames come from then; None: uploads of its own.

        Raises:
            ModelNotFoundError, ModelFileError: No such model, or no CLIP.
        """
        graph = find_graph(locate(model), "image")
        self._image = open_session(graph, backend, device, precision, threads=threads)
        spec = self._image.spec
        if spec.task != "embed-image" or not isinstance(spec.input, ImageInput):
            raise ModelFileError(graph, f"expected CLIP's image tower, found a model of task {spec.task!r}")
        if spec.input.batch[0] > 1:
            raise ModelFileError(graph, f"expected crops in any number, found a fixed batch of {spec.input.batch[0]}")
        self._input = spec.input
        self.uploads = uploads or FrameUploads()
        helpers = open_helpers(self._image, graph, ("crops",), frames_on_device, own="image", threads=threads)
        self._crops = helpers.get("crops")
        # What the crops graph leaves is valid until its next run, so that batches take turns there.
        self._turn: AbstractContextManager[object] = nullcontext() if self._crops is None else threading.Lock()
        self._under_way = CallsUnderWay(f"the CLIP model {spec.name}", "open it again")
        self._observers = RunObservers(spec.name)
        self.logit_scale = float(spec.defaults["logit_scale"])
        self.even_cosine = spec.defaults.get("even_cosine")
        text_graph = beside(graph, "text", own="image")
        tokens = cast("TokenInput", read_spec(text_graph).input)
        text_precision = "fp32" if precision == "auto" and self._image.device == "cpu" else precision
        self.text = TextFeatures(
            text_graph,
            TextTokenizer(graph.with_name("tokenizer.json"), tokens),
            lambda: open_session(text_graph, backend, device, text_precision, cpu_fallback=True, threads=threads),
            cache or home() / "text-features",
        )

    @property
    def name(self) -> str:
        """Short name of the model."""
        return self._image.spec.name

    @property
    def session(self) -> Session:
        """The session of the image tower."""
        return self._image

    def observe(self, observer: RunObserver) -> Callable[[], None]:
        """Report every call of `embed_windows` from now on to a function, as `Session.observe` does.

        The only input is `windows`. The time covers cutting the crops and all runs of the image tower.
        """
        return self._observers.add(observer)

    def embed_boxes(self, frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed what lies in boxes.

        Args:
            frame: (H, W, 3) uint8 BGR.
            boxes: (n, 4) float32 xyxy, px of the frame.

        Returns:
            (n, d) float32, each row of length one.
        """
        return self.embed_windows(frame, square_windows(boxes, frame.shape[0], frame.shape[1]))

    def embed_masked(self, frame: NDArray[np.uint8], segments: Segments) -> NDArray[np.float32]:
        """Embed segments with everything outside their masks greyed; the masks are not decoded.

        Args:
            frame: (H, W, 3) uint8 BGR.
            segments: n segments of it.

        Returns:
            (n, d) float32, each row of length one.
        """
        windows = square_windows(segments.boxes, frame.shape[0], frame.shape[1])
        size_px = self._input.height
        masks = [segments.masks.coarse(i, middle_square(window), size_px) for i, window in enumerate(windows)]
        return self.embed_windows(frame, windows, masks)

    def embed_windows(
        self,
        frame: NDArray[np.uint8],
        windows: NDArray[np.intp],
        masks: Sequence[NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float32]:
        """Embed windows of a frame: (n, 4) xyxy whole px inside it to (n, d) float32, rows of length one.

        `masks` are as in `clip_batch`.

        Raises:
            ClosedError: `close` was called.
        """
        start_s = time.perf_counter()
        name = self._image.spec.outputs[0].name
        parts = []
        most = min(self._input.batch[1] or _CROPS_A_RUN, _CROPS_A_RUN)
        with self._under_way.one():
            for part, size in batches(self._image, len(windows), most):
                of = filled(np.arange(part.start, part.stop), size)
                with self._turn:
                    batch = self._batch(frame, windows[of], None if masks is None else [masks[i] for i in of])
                    outputs, _ = self._image.run_kept({self._input.name: batch}, ())
                parts.append(np.asarray(outputs[name][: part.stop - part.start], np.float32))
        embeddings = np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
        self._observers.notify({"windows": windows}, start_s)
        return embeddings

    def _batch(
        self, frame: NDArray[np.uint8], windows: NDArray[np.intp], masks: Sequence[NDArray[np.bool_]] | None
    ) -> Array | DeviceArray:
        """The image tower's input of some windows, cut on the device where that can be."""
        if self._crops is None or masks is not None or not takes(self._crops, *frame.shape[:2]):
            return clip_batch(frame, windows, self._input, masks)
        inputs: dict[str, Array | DeviceArray] = {
            "frame": self.uploads.at(self._crops, frame),
            "windows": windows.astype(np.float32),
        }
        return self._crops.run_kept(inputs, [self._input.name])[1][self._input.name]

    def _release(self) -> None:
        self.text.close()
        self._image.close()
        if self._crops is not None:
            self._crops.close()

"""Clip: embed crops of frames and texts with a CLIP model."""

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
from fastsam_engine.store.model_store import sibling_graph
from fastsam_trt.bundled_models import locate
from fastsam_trt.clip.crops import clip_batch, seen_part, square_windows
from fastsam_trt.clip.text_embeddings import TextEmbeddings
from fastsam_trt.clip.tokenizer import TextTokenizer
from fastsam_trt.frames.helper_sessions import accepts_frame_size, open_helper_sessions
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.masks.batch_ladder import batches, filled
from fastsam_trt.segmentation.segments import Segments

_MAX_BATCH = 16


class Clip(Closable):
    """An exported CLIP model: image tower, tokenizer, and text tower, which is opened when it is needed.

    Thread-safe, and several pipelines may share it. Crops of several threads are cut in parallel and run in parallel if
    the session allows that (see `Session`). Batches that are cut on a GPU run one after the other. After `close` no
    pipeline that shares the model can use it.

    Attributes:
        text: Embeddings of prompts.
        logit_scale: Factor from cosine to logit that the model was trained with.
        decision_cosine: Cosine at which a prompt is as likely right as wrong; None: the model is not calibrated.
        default_negatives: Whether prompts compete with general negatives unless the caller chooses others. A model
            that judges a text by itself, such as SigLIP, needs none.
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
    ) -> None:
        """Open the image tower.

        Args:
            model: Short name or folder; `demo-clip` comes with the package.
            backend, device, precision, threads: See `fastsam_engine.open_session`. The text tower runs only
                once per prompt. With precision `auto` it computes in fp32 on a CPU; on a GPU, some of its operators may
                run on the CPU.
            cache: Folder of the text embeddings; None: in `$FASTSAM_TRT_HOME`.
            frames_on_device: Whether crops are cut on the device, by the model's crops graph; None: only if the device
                is a GPU and the model has such a graph.

        Raises:
            ModelNotFoundError: There is no such model.
            ModelFileError: The model is not CLIP.
        """
        graph = find_graph(locate(model), "image")
        self._image = open_session(graph, backend, device, precision, threads=threads)
        spec = self._image.spec
        if spec.task != "embed-image" or not isinstance(spec.input, ImageInput):
            raise ModelFileError(graph, f"expected CLIP's image tower, found a model of task {spec.task!r}")
        if spec.input.batch[0] > 1:
            raise ModelFileError(graph, f"expected a dynamic batch, found a fixed batch of {spec.input.batch[0]}")
        self._input = spec.input
        helpers = open_helper_sessions(self._image, graph, ("crops",), frames_on_device, "image", threads=threads)
        self._crops = helpers.get("crops")
        # The output of the crops graph is valid until its next run, so batches take turns.
        self._turn: AbstractContextManager[object] = nullcontext() if self._crops is None else threading.Lock()
        self._under_way = CallsUnderWay(f"the CLIP model {spec.name}", "open it again")
        self._observers = RunObservers(spec.name)
        self.logit_scale = float(spec.defaults["logit_scale"])
        self.decision_cosine = spec.defaults.get("even_cosine")  # the key that exported models store
        self.default_negatives = self.decision_cosine is None or bool(spec.defaults.get("default_negatives", 1))
        text_graph = sibling_graph(graph, "text", graph_part="image")
        tokens = cast("TokenInput", read_spec(text_graph).input)
        text_precision = "fp32" if precision == "auto" and self._image.device == "cpu" else precision
        self.text = TextEmbeddings(
            text_graph,
            TextTokenizer(graph.with_name("tokenizer.json"), tokens),
            lambda: open_session(text_graph, backend, device, text_precision, cpu_fallback=True, threads=threads),
            cache or home() / "text-features",
        )

    @property
    def name(self) -> str:
        """The short name of the model."""
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

    def embed_boxes(
        self, frame: NDArray[np.uint8], boxes: NDArray[np.float32], uploads: FrameUploads | None = None
    ) -> NDArray[np.float32]:
        """Embed the contents of boxes.

        Args:
            frame: (H, W, 3) uint8 BGR.
            boxes: (n, 4) float32 xyxy, px of the frame.
            uploads: See `embed_windows`.

        Returns:
            (n, d) float32, rows of length one.
        """
        return self.embed_windows(frame, square_windows(boxes, frame.shape[0], frame.shape[1]), uploads=uploads)

    def embed_masked(self, frame: NDArray[np.uint8], segments: Segments) -> NDArray[np.float32]:
        """Embed segments with everything outside their masks greyed. It uses coarse masks and decodes none.

        Args:
            frame: (H, W, 3) uint8 BGR.
            segments: n segments of the frame.

        Returns:
            (n, d) float32, rows of length one.
        """
        windows = square_windows(segments.boxes, frame.shape[0], frame.shape[1])
        size_px = self._input.height
        masks = [segments.masks.coarse(i, seen_part(window, self._input), size_px) for i, window in enumerate(windows)]
        return self.embed_windows(frame, windows, masks)

    def embed_windows(
        self,
        frame: NDArray[np.uint8],
        windows: NDArray[np.intp],
        masks: Sequence[NDArray[np.bool_]] | None = None,
        uploads: FrameUploads | None = None,
    ) -> NDArray[np.float32]:
        """Embed windows of a frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            windows: (n, 4) xyxy, whole px, inside the frame.
            masks: See `clip_batch`.
            uploads: The frames that the caller has uploaded, where crops are cut on the device; None: the frame is
                uploaded for every batch.

        Returns:
            (n, d) float32, rows of length one.

        Raises:
            ClosedError: `close` was called.
        """
        start_s = time.perf_counter()
        name = self._image.spec.outputs[0].name
        parts = []
        max_batch = min(self._input.batch[1] or _MAX_BATCH, _MAX_BATCH)
        with self._under_way.one():
            for part, size in batches(self._image, len(windows), max_batch):
                indices = filled(np.arange(part.start, part.stop), size)
                with self._turn:
                    batch_masks = None if masks is None else [masks[i] for i in indices]
                    batch = self._cut_batch(frame, windows[indices], batch_masks, uploads)
                    outputs, _ = self._image.run_kept({self._input.name: batch}, ())
                parts.append(np.asarray(outputs[name][: part.stop - part.start], np.float32))
        embeddings = np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
        self._observers.notify({"windows": windows}, start_s)
        return embeddings

    def _cut_batch(
        self,
        frame: NDArray[np.uint8],
        windows: NDArray[np.intp],
        masks: Sequence[NDArray[np.bool_]] | None,
        uploads: FrameUploads | None,
    ) -> Array | DeviceArray:
        """Cut windows and preprocess them as the image tower's input, on the device if possible."""
        if self._crops is None or masks is not None or not accepts_frame_size(self._crops, *frame.shape[:2]):
            return clip_batch(frame, windows, self._input, masks)
        inputs: dict[str, Array | DeviceArray] = {
            "frame": self._crops.upload(frame) if uploads is None else uploads.upload(self._crops, frame),
            "windows": windows.astype(np.float32),
        }
        return self._crops.run_kept(inputs, [self._input.name])[1][self._input.name]

    def _release(self) -> None:
        self.text.close()
        self._image.close()
        if self._crops is not None:
            self._crops.close()

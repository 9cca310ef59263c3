"""Run a segmentation model: frame in, segments out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session, find_graph, open_session
from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.concurrency.closable import Closable
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.store.model_store import sibling_graph
from fastsam_trt.bundled_models import locate
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.helper_sessions import open_helper_sessions
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.frames.preprocess import FramePreprocessor, limit_opencv_threads
from fastsam_trt.frames.preprocess_on_device import DevicePreprocessor
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.prompts.class_names import read_class_names
from fastsam_trt.prompts.texts import class_ids
from fastsam_trt.segmentation.decoder import Thresholds, decoder_for
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.sparse.crossing import ComputeName, check_compute


class Segmenter(Closable):
    """A segmentation model, from frame to segments.

    Any thread may call it. Frames are prepared and decoded in parallel, and run through the network in parallel where
    its session allows that (see `Session`). With helper graphs on a GPU, frames run one after the other. Masks of
    earlier frames can be decoded after `close`.

    Attributes:
        session: The open model.
        thresholds: Which detections count as segments; may be replaced between frames.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        conf: float | None = None,
        iou: float | None = None,
        max_segments: int | None = None,
        classes: Iterable[int | str] | int | str | None = None,
        components: bool = False,
        agnostic_nms: bool | None = None,
        imgsz: int | tuple[int, int] | None = None,
        names: str | Path | Sequence[str] | None = None,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        frames_on_device: bool | None = None,
        compute: ComputeName = "auto",
        uploads: FrameUploads | None = None,
    ) -> None:
        """Open a model.

        Args:
            model: Short name, folder or file; `demo-seg` comes with the package.
            conf, iou, max_segments, components, agnostic_nms: See `Thresholds`; None: the model's default.
            classes: Ids or names of the classes to keep, see `class_ids`; None: all.
            imgsz: Longest side, or (height, width), px; None: the model's default.
            names: Class names to use instead of the file's, or the file that holds them; see `read_class_names`.
            backend, device, precision, threads: See `fastsam_engine.open_session`. OpenCV's thread count, one number
                for the whole process, is lowered to the CPUs that the process may use.
            frames_on_device: Whether the model's helper graphs prepare frames and decode masks on its device; None:
                if that is a GPU and the model has them.
            compute: What to compute of a frame, for models that have the choice (see `crossing.ComputeName`).
            uploads: Uploads frames to that device; None: not shared with other models.

        Raises:
            ModelNotFoundError, ModelFileError: There is no such model, it is no segmenter, or `frames_on_device` is
                True and it has no helper graphs.
            OptionError: A threshold or size is out of range, or the model has no such class or no choice of `compute`.
            ClassNamesError, ClassNamesFileError: The number of names is not that of the classes, or their file can't
                be read.
        """
        check_compute(compute)
        graph = find_graph(locate(model))
        class_names = read_class_names(names) if isinstance(names, str | Path) else names
        limit_opencv_threads()
        self._opened: list[Session] = []
        self.session = self._close_with_self(
            open_session(
                graph, backend, device, precision, frames=not frames_on_device, class_names=class_names, threads=threads
            )
        )
        opened = self.session
        # Where the first graph runs, since arrays pass between them; `auto` might choose something else for a part.
        self._decoder = decoder_for(
            opened,
            lambda part: self._close_with_self(
                open_session(sibling_graph(graph, part), opened.backend, opened.device, precision, threads=threads)
            ),
        )
        self._decoder.use_compute(compute)
        spec = self.session.spec
        self._input = cast("ImageInput", spec.input)  # a segmenter takes images
        self.thresholds = Thresholds(
            conf=spec.defaults["conf"] if conf is None else conf,
            iou=spec.defaults["iou"] if iou is None else iou,
            max_segments=int(spec.defaults["max_segments"]) if max_segments is None else max_segments,
            classes=None if classes is None else class_ids(classes, spec.class_names),
            components=components,
            agnostic_nms=spec.is_class_agnostic if agnostic_nms is None else agnostic_nms,
        )
        self._size = _size(self._input, imgsz)
        self._idle: deque[FramePreprocessor] = deque()  # each holds the buffers of one frame at a time
        self.uploads = uploads or FrameUploads()
        self._on_device: DevicePreprocessor | None = None
        self._kept_outputs = self._decoder.kept_outputs
        helpers = open_helper_sessions(self.session, graph, ("preprocess", "decode"), frames_on_device, threads=threads)
        self._opened += helpers.values()
        if "preprocess" in helpers:
            self._on_device = DevicePreprocessor(helpers["preprocess"], self._input, self.uploads, self._size)
        if "decode" in helpers:
            self._kept_outputs += self._decoder.use_device_decode(helpers["decode"])
        # Arrays that are kept on a device are valid until the next run, so frames take turns there.
        turns = helpers or (self._kept_outputs and opened.memory != "host")
        self._turn: AbstractContextManager[object] = threading.Lock() if turns else nullcontext()
        self._under_way = CallsUnderWay(f"the segmenter {spec.name}", "open it again")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class id to name."""
        return self.session.spec.class_names

    @property
    def class_agnostic(self) -> bool:
        """Whether a class tells nothing about the object: FastSAM has one class for everything."""
        return self.session.spec.is_class_agnostic

    def __call__(
        self, frame: NDArray[np.uint8], thresholds: Thresholds | None = None, rectangle: Rectangle = "smallest"
    ) -> Segments:
        """Segment one frame; see `segment`."""
        return self.segment(frame, thresholds, rectangle)

    def segment(
        self, frame: NDArray[np.uint8], thresholds: Thresholds | None = None, rectangle: Rectangle = "smallest"
    ) -> Segments:
        """Segment one frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            thresholds: Thresholds for this frame; None: those of the segmenter.
            rectangle: Which rectangle the model's input shrinks to, where the model allows it; see `rectangles`.

        Returns:
            Its segments, masks not yet decoded, and the time of each stage in `speed_ms`.

        Raises:
            ClosedError: `close` was called.
        """
        thresholds = thresholds or self.thresholds
        with self._under_way.one(), self._turn:
            if self._on_device is not None and self._on_device.accepts(frame):
                start_s = time.perf_counter()
                uploaded = self._on_device.prepare(frame, rectangle)
                return self._run(*uploaded, self._kept_outputs, thresholds, start_s)
            try:
                preprocessor = self._idle.pop()
            except IndexError:
                preprocessor = FramePreprocessor(self._input, self._size)
            try:
                start_s = time.perf_counter()
                prepared = preprocessor.prepare(frame, rectangle)
                return self._run(*prepared, self._decoder.kept_outputs, thresholds, start_s)
            finally:
                self._idle.append(preprocessor)

    def _run(
        self,
        array: Array | DeviceArray,
        letterbox: Letterbox,
        kept_outputs: tuple[str, ...],
        thresholds: Thresholds,
        start_s: float,
    ) -> Segments:
        """Run the network on its input, keep some outputs on the device, and decode."""
        ready_s = time.perf_counter()
        self._decoder.detach_earlier_results()
        fetched, kept = self.session.run_kept({self._input.name: array}, kept_outputs)
        segments = self._decoder.decode({**fetched, **kept}, letterbox, thresholds)
        done_s = time.perf_counter()
        speed_ms = {"preprocess": (ready_s - start_s) * 1e3, "segment": (done_s - ready_s) * 1e3}
        return replace(segments, speed_ms=speed_ms)

    def _release(self) -> None:
        self._decoder.close()
        for session in self._opened:
            session.close()

    def _close_with_self(self, session: Session) -> Session:
        """Close a session with the segmenter."""
        self._opened.append(session)
        return session


def _size(image: ImageInput, imgsz: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """The size to fit frames into, checked with what the model accepts."""
    if imgsz is None:
        return None
    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    if image.size_multiple is None:
        if (height, width) != (image.height, image.width):
            raise OptionError("imgsz", f"this model's fixed {image.height} x {image.width}", f"{height} x {width}")
        return None
    if min(height, width) < 1 or height % image.size_multiple or width % image.size_multiple:
        raise OptionError("imgsz", f"multiples of {image.size_multiple}", f"{height} x {width}")
    return height, width

"""The interface of the sides of `main.py`, and the side of our runtime.

A side segments frames. With CLIP it embeds the crop of every segment, chooses the segment that matches the prompt best,
and returns its mask at the size of the frame. Without CLIP it returns the masks of all segments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast
from unittest import mock

from claims.common import harness
from claims.common.seeded_models import CLIP, Models

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import ModelSpec, Session
from fastsam_engine.backends import get_backend
from fastsam_engine.backends.onnxruntime.provider_options import compute_precision
from fastsam_engine.device_array import DeviceArray
from fastsam_engine.run_observers import ObservedRun
from fastsam_engine.session import Array, OpenOptions
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt import Pipeline
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.segmentation.families import Decoder, Thresholds, decoder_for
from fastsam_trt.segmentation.segments import Segments

PROMPT = "a red bus"
_NETWORKS = ("segment", "embed-image")
Frames = Sequence[NDArray[np.uint8]]
Found = list[tuple[NDArray[np.float32], NDArray[np.int32]]]
"""Boxes (n, 4), xyxy, px of the frame, and class ids (n,) of the segments of each frame, best first."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where our runtime runs.

    Attributes:
        backend, device: See `fastsam_engine.open_session`.
        cuda_graph: Whether runs are recorded and replayed.
        bound: Whether the CPU imitates a GPU, with arrays that stay on the device, for a rehearsal.
    """

    backend: str
    device: str
    cuda_graph: bool = False
    bound: bool = False

    @property
    def label(self) -> str:
        """Name in tables."""
        return f"ours {self.backend} {self.device}{' bound' * self.bound}{' graph' * self.cuda_graph}"


class Side(ABC):
    """One way to do the work.

    Attributes:
        name: Name in tables.
        precision: Precision of its segmenter.
        most: Most segments per frame.
    """

    name: str
    precision: str
    most: int = 10

    @abstractmethod
    def prepare(self, conf: float, *, clip: bool) -> None:
        """Set the lowest score of a segment, and whether crops are embedded."""

    @abstractmethod
    def __call__(self, frames: Frames) -> Found:
        """Do the work; returns when it is done."""

    @abstractmethod
    def networks(self, frames: Frames) -> Callable[[], object]:
        """A function that only runs the networks for the frames, on inputs that are on the device."""

    @abstractmethod
    def embed(self, frame: NDArray[np.uint8], windows: NDArray[np.intp]) -> NDArray[np.float32]:
        """CLIP's embeddings (n, d), rows of length one, of windows (n, 4), xyxy, whole px of a frame."""


class Batched:
    """Batches of frames: preprocessed one by one, run together, decoded one by one."""

    def __init__(self, spec: ModelSpec, decoder: Decoder, imgsz: int) -> None:
        self._input, self._decoder = cast("ImageInput", spec.input), decoder
        self._preprocess = FramePreprocessor(self._input, (imgsz, imgsz))

    def inputs(self, frames: Frames) -> tuple[dict[str, Array], list[Letterbox]]:
        """The input of the network by name, and the letterbox of each frame."""
        placed = [(array.copy(), letterbox) for array, letterbox in map(self._preprocess.prepare, frames)]
        return {self._input.name: np.concatenate([array for array, _ in placed])}, [each for _, each in placed]

    def decode(
        self, outputs: Mapping[str, Array], letterboxes: Sequence[Letterbox], thresholds: Thresholds
    ) -> list[Segments]:
        """The segments of each frame."""
        singles = ({name: array[i : i + 1] for name, array in outputs.items()} for i in range(len(letterboxes)))
        return [self._decoder.decode(*each, thresholds) for each in zip(singles, letterboxes, strict=True)]


class Ours(Side):
    """Our runtime on one backend."""

    def __init__(self, models: Models, name: str, graphs: str, imgsz: int, where: Where, precision: str) -> None:
        """Open a segmenter.

        Args:
            models: The folder of the segmenter and of CLIP.
            name: Name of the segmenter.
            graphs: Precision of the graphs: `fp32` or `fp16`.
            imgsz: Longest side of its input, px.
            where: Backend and device.
            precision: See `fastsam_engine.open_session`.
        """
        self._models, self._graphs, self._where = models, graphs, where
        self._opened: list[Session] = []
        backend, device = where.backend, where.device
        with self._opening():
            self.pipeline = Pipeline(
                models.export(name, graphs), clip=models.export_folder(CLIP, graphs), selector="clip", threshold=0.0,
                imgsz=imgsz, backend=backend, device=device, precision=precision,
            )  # fmt: skip
        session = self.pipeline.segmenter.session
        self.precision = session.precision
        self._batched = Batched(session.spec, decoder_for(session, no_part), imgsz)

    def prepare(self, conf: float, *, clip: bool) -> None:
        self._threshold(conf)
        if clip:
            self._models.export(CLIP, self._graphs)
        with self._opening():
            self.pipeline.prompts = (PROMPT,) if clip else ()

    def __call__(self, frames: Frames) -> Found:
        self._threshold(self.pipeline.segmenter.thresholds.conf)
        if len(frames) > 1:
            return self._offline(frames)
        result = self.pipeline(frames[0])
        if self.pipeline.prompts and len(result):  # the threshold keeps all; only one is decoded, as on other sides
            best = result.selection.indices[int(result.similarities.argmax())]
            paste(result.segments.masks.decode([int(best)]), *frames[0].shape[:2])
        else:
            result.masks()
        return [(result.segments.boxes, result.segments.class_ids)]

    def networks(self, frames: Frames) -> Callable[[], object]:
        runs: list[tuple[Session, dict[str, Array]]] = []
        with ExitStack() as stack:
            for session in self._networks():
                stack.callback(session.observe(_recorder(session, runs)))
            self(frames)
        uploaded = [
            (session, {name: session.upload(array) for name, array in inputs.items()}) for session, inputs in runs
        ]

        def call() -> None:
            for session, inputs in uploaded:
                session.run_kept(inputs, [output.name for output in session.spec.outputs])

        return call

    def embed(self, frame: NDArray[np.uint8], windows: NDArray[np.intp]) -> NDArray[np.float32]:
        clip = self.pipeline.clip
        if clip is None:
            raise harness.BenchmarkError("expected an open CLIP, found none")
        return clip.embed_windows(frame, windows)

    def _offline(self, frames: Frames) -> Found:
        """Several frames in one run of the segmenter."""
        segmenter, clip = self.pipeline.segmenter, self.pipeline.clip
        inputs, letterboxes = self._batched.inputs(frames)
        found = self._batched.decode(segmenter.session.run(inputs), letterboxes, segmenter.thresholds)
        for frame, segments in zip(frames, found, strict=True):
            wanted: Sequence[int] = range(len(segments))
            if self.pipeline.prompts and clip is not None and len(segments):
                text = clip.text.embed([PROMPT], ["{}"])[0]
                wanted = [int((clip.embed_boxes(frame, segments.boxes) @ text).argmax())]
            paste(segments.masks.decode(wanted), *frame.shape[:2])
        return [(segments.boxes, segments.class_ids) for segments in found]

    def _threshold(self, conf: float) -> None:
        segmenter = self.pipeline.segmenter
        segmenter.thresholds = replace(segmenter.thresholds, conf=conf, max_segments=self.most)

    def _networks(self) -> list[Session]:
        return [each for each in self._opened if each.spec.task in _NETWORKS]

    @contextmanager
    def _opening(self) -> Iterator[None]:
        with opened_at(self._where, self._opened):
            yield


@contextmanager
def opened_at(where: Where, opened: list[Session] | None = None) -> Iterator[None]:
    """Open sessions of a backend with the options of `where` within a `with` block; they are added to `opened`."""
    backend = get_backend(where.backend)
    plainly = backend.open

    def open_so(path: Path, spec: ModelSpec, device: str, precision: str, options: OpenOptions) -> Session:
        if where.cuda_graph and spec.task in _NETWORKS:  # helper graphs compute shapes on the CPU
            options = replace(options, cuda_graph=True)
        if where.bound:
            session: Session = _bound(path, spec, precision, options)
        else:
            session = plainly(path, spec, device, precision, options)
        if opened is not None:
            opened.append(session)
        return session

    with mock.patch.object(backend, "open", open_so):
        yield


def _bound(path: Path, spec: ModelSpec, precision: str, options: OpenOptions) -> Session:
    """A session of ONNX Runtime on the CPU that works as on a GPU: its arrays stay on the device."""
    from fastsam_engine.backends.onnxruntime.backend import open_bound
    from fastsam_engine.backends.onnxruntime.devices import Device

    device = Device.parse("cpu")
    return open_bound(path, spec, device, compute_precision(spec, device, precision), options)


def no_part(part: str) -> Session:
    """Refuse to open another graph: the models here have only one."""
    raise harness.BenchmarkError(f"expected a model of one graph, found one with {part!r}")


def _recorder(session: Session, runs: list[tuple[Session, dict[str, Array]]]) -> Callable[[ObservedRun], None]:
    """An observer that copies the inputs of a session's runs."""

    def record(run: ObservedRun) -> None:
        hosts = {name: each.to_host() if isinstance(each, DeviceArray) else each for name, each in run.inputs.items()}
        runs.append((session, {name: array.copy() for name, array in hosts.items()}))

    return record

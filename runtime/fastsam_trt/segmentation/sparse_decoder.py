"""The base of decoders whose models compute boxes and masks for chosen anchors only."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Session
from fastsam_engine.spec.family_parts import check_part, check_part_exists
from fastsam_engine.store.model_store import sibling_graph
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.masks.device_decode import DeviceDecode
from fastsam_trt.masks.kept_masks import KeptMasks
from fastsam_trt.masks.map_to_frame import MapToFrame, MapToFrameCache
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.segmentation.decoder import Decoder, OpenPart, Outputs, Thresholds
from fastsam_trt.segmentation.remainder import Remainder
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.sparse.anchor_grid import AnchorGrid
from fastsam_trt.sparse.box_head import BoxHead
from fastsam_trt.sparse.candidates import Candidates
from fastsam_trt.sparse.crossing import ComputeName
from fastsam_trt.sparse.features import FrameFeatures
from fastsam_trt.sparse.mask_head import MaskHead
from fastsam_trt.sparse.masks import SparseMasks, WholeMap

_MAX_FEATURE_BYTES = 256 << 20


class Frame(NamedTuple):
    """What the heads need of one frame."""

    features: FrameFeatures
    letterbox: Letterbox
    whole: WholeMap


class Detections(NamedTuple):
    """The n detections of a frame, best first: candidates, and their boxes (n, 4) float32 xyxy, px of the frame."""

    chosen: Candidates
    boxes: NDArray[np.float32]


class SparseDecoder(Decoder):
    """A decoder of a trunk, whose heads are run for chosen anchors only.

    Any thread may call it; from `detach_earlier_results` to the masks of the frame that is run next, one frame at a
    time, unless the session is `parallel`.

    Attributes:
        max_feature_bytes: Most bytes of features that earlier results keep. A frame has 2 MB (YOLOv8n-seg at 640 px) to
            20 MB (FastSAM-x at 1024 px). A caller may keep any number of results: those beyond this bound get the
            prototypes of the whole map instead, as from a dense graph.
        earlier: Masks and remainders of earlier frames that keep features.
    """

    def __init__(self, session: Session, open_part: OpenPart) -> None:
        super().__init__(session, open_part)
        self._best = next(output.name for output in self.spec.outputs if output.meaning == "anchor-logits")
        maps = [output for output in self.spec.outputs if output.meaning in ("features", "prototype-features")]
        self.kept_outputs = tuple(output.name for output in maps)
        levels = [output.name for output in maps if output.meaning == "features"]
        self._levels = {int(name.removeprefix("features_")): name for name in levels}
        self._on_host = session.memory == "host"
        heads, masks = (_opened_part(session, part, open_part) for part in ("heads", "masks"))
        self._box_head, self._mask_head = BoxHead(heads), MaskHead(masks)
        self.max_feature_bytes = _MAX_FEATURE_BYTES
        self._decode: DeviceDecode | None = None
        self._resizes = MapToFrameCache()
        self.earlier = KeptMasks()

    @abstractmethod
    def candidates(self, outputs: Outputs, thresholds: Thresholds) -> Candidates:
        """The candidates of a frame. Equal scores stay in their order."""

    @abstractmethod
    def kept(
        self, found: Candidates, boxes: NDArray[np.float32], letterbox: Letterbox, thresholds: Thresholds
    ) -> NDArray[np.intp]:
        """Indices of the candidates that become segments, best first.

        Args:
            found: n candidates.
            boxes: (n, 4) float32 xyxy, px of the model's input.
            letterbox, thresholds: See `Decoder.decode`.
        """

    def independent(self, thresholds: Thresholds) -> bool:
        """Whether segments of one class never remove those of another."""
        return True

    def use_compute(self, compute: ComputeName) -> None:
        self._box_head.use_compute(compute)
        self._mask_head.use_compute(compute)

    def use_device_decode(self, session: Session) -> tuple[str, ...]:
        self._decode = DeviceDecode(session)
        return ()

    def decode(self, outputs: Outputs, letterbox: Letterbox, thresholds: Thresholds) -> Segments:
        maps = {name: outputs[name] for name in self.kept_outputs}
        sizes = {stride: maps[name].shape[1:3] for stride, name in self._levels.items()}
        frame = Frame(FrameFeatures(maps, AnchorGrid(sizes)), letterbox, WholeMap())
        candidates = self.candidates(outputs, thresholds)
        narrowed = self._narrowed(frame, candidates, thresholds)
        if narrowed is not None:
            return narrowed
        return self._segments(frame, self._detect(frame, candidates, thresholds))

    def detach_earlier_results(self) -> None:
        """Copy the features of earlier results, which the model's next run overwrites; see `KeptMasks`."""
        self.earlier.detach(self.max_feature_bytes)

    def close(self) -> None:
        """Compute what earlier results need."""
        self.earlier.close()

    def _narrowed(self, frame: Frame, candidates: Candidates, thresholds: Thresholds) -> Segments | None:
        """The segments that can be selected, if the others can be left for later; otherwise None."""
        # On a device the next run would overwrite what the remainder needs, and the boxes of all cost nothing more.
        if thresholds.selectable is None or not self._on_host or not self.independent(thresholds):
            return None
        wanted = np.isin(candidates.class_ids, thresholds.selectable)
        known = self._detect(frame, candidates.take(wanted), thresholds)
        # A segment with fewer candidates above it than there may be segments is among the best ones.
        worst = known.chosen.scores.min(initial=1.0)
        if len(known.boxes) and np.count_nonzero(candidates.scores >= worst) > thresholds.max_segments:
            return None
        others = candidates.take(~wanted)
        if not len(others):
            return self._segments(frame, known)
        compute = partial(self._all, frame, known, others, thresholds)
        remainder = Remainder(compute, frame.features.nbytes, _masks_to_host)
        self.earlier.add(remainder)
        return self._segments(frame, known, remainder)

    def _detect(self, frame: Frame, candidates: Candidates, thresholds: Thresholds) -> Detections:
        boxes = self._box_head.boxes(frame.features, candidates.anchors)
        kept = self.kept(candidates, boxes, frame.letterbox, thresholds)
        return Detections(candidates.take(kept), frame.letterbox.boxes_to_frame(boxes[kept]))

    def _all(
        self, frame: Frame, known: Detections, others: Candidates, thresholds: Thresholds
    ) -> tuple[Segments, NDArray[np.intp]]:
        """All segments of a frame, and the indices of the known ones among them."""
        rest = self._detect(frame, others, thresholds)
        both, boxes = Candidates.joined(known.chosen, rest.chosen), np.concatenate([known.boxes, rest.boxes])
        order = np.lexsort((both.class_ids, both.anchors, -both.scores))[: thresholds.max_segments]
        found = Detections(both.take(order), boxes[order])
        indices = np.empty(len(boxes), np.intp)
        indices[order] = np.arange(len(order))
        return self._segments(frame, found), indices[: len(known.boxes)]

    def _segments(self, frame: Frame, found: Detections, remainder: Remainder[Segments] | None = None) -> Segments:
        chosen, boxes = found
        height, width = self._mask_head.size(frame.features)
        per_cell = self._mask_head.per_cell
        resize = self._resizes.get(frame.letterbox, height * per_cell, width * per_cell)
        on_device = None if self._decode is None else self._decode_masks
        masks = SparseMasks(self._mask_head, frame.features, chosen.anchors, boxes, resize, frame.whole, on_device)
        self.earlier.add(masks)
        return Segments(boxes, chosen.scores, chosen.class_ids, masks, remainder=remainder)

    def _decode_masks(
        self, features: FrameFeatures, anchors: NDArray[np.intp], boxes: NDArray[np.float32], resize: MapToFrame
    ) -> list[MaskCrop]:
        """Decode masks on the device."""
        decode = self._decode
        if decode is None:
            raise TypeError("expected a decode graph, found none")
        with self._mask_head.run_on_device(features, anchors) as (coefficients, prototypes):
            return decode.masks(prototypes, coefficients, boxes, resize).decode(range(len(boxes)))


def _masks_to_host(segments: Segments) -> None:
    if isinstance(segments.masks, SparseMasks):
        segments.masks.to_host()


def _opened_part(trunk: Session, part: str, open_part: OpenPart) -> Session:
    """Open a part of a model, which must be of the same export.

    Raises:
        ModelFileError: It is missing, or of another export or precision.
    """
    path = sibling_graph(trunk.path, part)
    check_part_exists(trunk.path, trunk.spec, path)
    session = open_part(part)
    check_part(trunk.path, trunk.spec, path, session.spec)
    return session

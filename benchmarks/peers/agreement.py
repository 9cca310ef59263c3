"""Check that two sides found the same, before their times are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from answer import Answer
from numpy.typing import NDArray
from peer_errors import DisagreementError

from fastsam_engine.rounding import round_with_bound
from fastsam_trt.segmentation.nms import box_ious

Metrics = dict[str, float | None]
Broken = list[tuple[str, str]]
"""What was expected and what was found, for each broken bound."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far two sides may differ.

    Attributes:
        box_iou: Smallest IoU of the boxes of a segment.
        mask_iou: Smallest IoU of its masks.
        counted: Score from which a segment must be found again. Rounding may move segments closer to the threshold
            across it.
        cosine: Smallest cosine of the embeddings of a crop, and of a text.
        tie: If both choose different segments: how far the similarity of ours may be below the peer's best, by the
            peer's similarities, as a share of their range over the segments.
    """

    box_iou: float = 0.9
    mask_iou: float = 0.85
    counted: float = 0.3
    cosine: float = 0.9995
    tie: float = 0.1


def match(theirs: Answer, ours: Answer, bounds: Bounds) -> tuple[Metrics, Broken]:
    """Match the peer's segments with ours, best first.

    Returns:
        Metrics, and broken bounds.
    """
    overlaps = box_ious(theirs.boxes, ours.boxes) * (theirs.class_ids[:, None] == ours.class_ids[None])
    open_to = overlaps.copy()
    boxes: list[float] = []
    masks: list[float] = []
    counted = np.flatnonzero(theirs.scores >= bounds.counted)
    for index in counted[np.argsort(-theirs.scores[counted], kind="stable")].tolist():
        partner = int(open_to[index].argmax()) if len(ours) else -1
        if partner < 0 or open_to[index, partner] < bounds.box_iou:
            continue
        boxes.append(float(open_to[index, partner]))
        open_to[:, partner] = 0
        if theirs.masks is not None and ours.masks is not None:
            masks.append(_mask_iou(theirs.masks[index], ours.masks[partner]))
    met = overlaps.max(axis=0, initial=0) >= bounds.box_iou
    extra = int((~met & (ours.scores >= bounds.counted)).sum())
    metrics: Metrics = {
        "segments": len(theirs),
        "counted": len(counted),
        "found": len(boxes),
        "extra": extra,
        "box_iou": min(boxes, default=None),
        "mask_iou": min(masks, default=None),
    }
    broken: Broken = []
    if len(boxes) < len(counted) or extra:
        broken.append(
            (
                f"the same {len(counted)} segments with boxes of IoU {bounds.box_iou:g}, and no others",
                f"{len(boxes)} of them and {extra} others",
            )
        )
    if min(masks, default=1.0) < bounds.mask_iou:
        found, bound = round_with_bound(min(masks), bounds.mask_iou, 4)
        broken.append((f"masks of IoU {bound}", found))
    return metrics, broken


def match_embeddings(
    theirs: tuple[NDArray[np.float32], NDArray[np.float32]],
    ours: tuple[NDArray[np.float32], NDArray[np.float32]],
    bounds: Bounds,
) -> tuple[Metrics, Broken]:
    """Compare CLIP's embeddings of the same crops and of the prompt, and the segment that each side would choose.

    Args:
        theirs, ours: Embeddings of n crops (n, d) and of the prompt (1, d), rows of length one.
        bounds: How far they may differ.

    Returns:
        See `match`. `crops_alike` is the largest cosine of two different crops: the cosine of the same crop on both
        sides means something only if it is clearly higher.
    """
    crops = float((theirs[0] * ours[0]).sum(axis=1).min(initial=1))
    texts = float((theirs[1] * ours[1]).sum(axis=1).min(initial=1))
    among = theirs[0] @ theirs[0].T
    np.fill_diagonal(among, -1)
    theirs_like, ours_like = (crops_of @ texts_of[0] for crops_of, texts_of in (theirs, ours))
    metrics: Metrics = {
        "crop_cosine": crops,
        "text_cosine": texts,
        "crops_alike": float(among.max()) if len(among) > 1 else None,
    }
    broken: Broken = []
    if min(crops, texts) < bounds.cosine:
        found, bound = round_with_bound(min(crops, texts), bounds.cosine, 5)
        whose = "of crops" if crops <= texts else "of the prompt"
        broken.append((f"embeddings of cosine {bound}", f"{found} {whose}"))
    if len(theirs_like):
        best, chosen = int(theirs_like.argmax()), int(ours_like.argmax())
        below = float(theirs_like[best] - theirs_like[chosen])
        spread = float(np.ptp(theirs_like))
        metrics["same_choice"] = float(best == chosen)
        if below > bounds.tie * spread:
            broken.append(
                (
                    f"the same choice on the same crops, or one within {bounds.tie:g} of the range of similarities",
                    f"segment {chosen} instead of {best}, {below / spread:.2f} of it below",
                )
            )
    return metrics, broken


def check(peer: str, ours: str, broken: Broken) -> None:
    """Stop a comparison if the sides disagree.

    Raises:
        DisagreementError: A bound is broken; the message names the first one.
    """
    if broken:
        raise DisagreementError(peer, ours, *broken[0])


def _mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 1.0

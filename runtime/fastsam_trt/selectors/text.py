"""TextSelector: matches text prompts by class label if they name a class, and by CLIP otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.embedder import CropEmbedder, Embedder
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import PromptError
from fastsam_trt.prompts.text_options import TextOptions
from fastsam_trt.prompts.texts import Routes
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors.selection import Ranking, Selection


class TextSelector:
    """Selects the segments that text prompts name.

    A segment whose class a prompt names is selected without CLIP, and its crop is never embedded. Every other segment
    is embedded and compared with the other prompts and the negatives. It is selected if the similarity to its best
    prompt, a probability against all negatives together (see `match_scores`), reaches the threshold. So every match is
    selected, and nothing if there is no match.
    """

    def __init__(
        self,
        routes: Routes,
        options: TextOptions,
        clip: Clip | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """Embed the texts that need CLIP.

        Args:
            routes: The prompts.
            options: Negatives, templates and threshold.
            clip: The CLIP model; None only if no prompt goes to CLIP.
            embedder: Returns the segments' embeddings by that model; None: crops of their boxes, embedded every time.

        Raises:
            PromptError: Every negative is a prompt too, and the model is not calibrated.
        """
        texts = routes.by_clip
        self._by_class = routes.by_class
        self._text_ids = np.array(list(texts), np.int32)
        self._threshold = options.threshold
        self._clip = clip if texts else None
        self._embedder = embedder
        if self._clip is not None:
            # A negative that is also a prompt would compete with its own match.
            prompted = {text.casefold() for text in texts.values()}
            negatives = [text for text in options.negatives if text.casefold() not in prompted]
            if not negatives and self._clip.decision_cosine is None:
                raise PromptError("expected a negative that is not a prompt too, found none; add a negative")
            vectors = self._clip.text.embed([*texts.values(), *negatives], options.templates)
            self._texts, self._negatives = vectors[: len(texts)], vectors[len(texts) :]
            self._embedder = CropEmbedder(self._clip) if embedder is None else embedder

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Select the segments that match a prompt."""
        matches = self._match(frame, segments)
        selected = np.flatnonzero(matches.by_label | (matches.similarities >= self._threshold))
        pending = np.flatnonzero(matches.prompt_ids < 0) if self._clip is not None else np.empty(0, np.intp)
        prompt_ids, similarities = matches.prompt_ids[selected], matches.similarities[selected]
        return Selection(selected, prompt_ids, similarities, pending, matches.crops_embedded)

    def rank(self, frame: NDArray[np.uint8], segments: Segments) -> Ranking:
        """Sort the segments by how well they match their best prompt, selected or not."""
        matches = self._match(frame, segments)
        order = np.lexsort((-segments.scores, -matches.similarities, ~matches.by_label))
        order = order[matches.prompt_ids[order] >= 0]
        return Ranking(order, matches.prompt_ids[order], matches.similarities[order])

    def _match(self, frame: NDArray[np.uint8], segments: Segments) -> _Matches:
        prompt_ids = np.full(len(segments), -1, np.int32)
        similarities = np.full(len(segments), np.nan, np.float32)
        for class_id, prompt_id in self._by_class.items():
            prompt_ids[segments.class_ids == class_id] = prompt_id
        by_label = prompt_ids >= 0
        rest = np.flatnonzero(~by_label)
        clip, embedder = self._clip, self._embedder
        if clip is None or embedder is None or not len(rest):
            return _Matches(prompt_ids, similarities, by_label)
        candidates = segments if len(rest) == len(segments) else segments.take(rest)
        found = embedder.embed(frame, candidates)
        seen = rest[found.known]
        if len(seen):
            vectors = found.vectors[found.known]
            scores = match_scores(vectors, self._texts, self._negatives, clip.logit_scale, clip.decision_cosine)
            best = scores.argmax(axis=1)
            prompt_ids[seen] = self._text_ids[best]
            similarities[seen] = scores[np.arange(len(seen)), best]
        embedder.record_margins(candidates, np.abs(similarities[rest] - self._threshold))
        return _Matches(prompt_ids, similarities, by_label, found.crops_embedded)


@dataclass(frozen=True, slots=True, eq=False)
class _Matches:
    """How n segments match the prompts.

    Attributes:
        prompt_ids: (n,) int32, the best prompt; -1 if CLIP has not seen the segment.
        similarities: (n,) float32, CLIP's similarity to it; NaN without CLIP.
        by_label: (n,) bool, whether the class label matched.
        crops_embedded: How many crops went through CLIP.
    """

    prompt_ids: NDArray[np.int32]
    similarities: NDArray[np.float32]
    by_label: NDArray[np.bool_]
    crops_embedded: int = 0


def match_scores(
    embeddings: NDArray[np.float32],
    texts: NDArray[np.float32],
    negatives: NDArray[np.float32],
    logit_scale: float,
    decision_cosine: float | None = None,
) -> NDArray[np.float32]:
    """Return CLIP's confidence that a crop shows a prompt and not a negative.

    The score of a prompt is its share in a softmax over that prompt and all negatives, so prompts do not compete with
    each other. A calibrated model adds one negative whose cosine is the same for every crop.

    Args:
        embeddings: (n, d) of crops, unit length.
        texts: (p, d) of prompts, unit length.
        negatives: (m, d) of negatives, unit length; m > 0 unless the model is calibrated.
        logit_scale: Factor from cosine to logit.
        decision_cosine: Cosine at which a prompt matches with probability 0.5; None: the model is not calibrated.

    Returns:
        (n, p) float32 in 0..1.
    """
    positive = logit_scale * (embeddings.astype(np.float64) @ texts.T)
    negative = logit_scale * (embeddings.astype(np.float64) @ negatives.T)
    if decision_cosine is not None:
        negative = np.pad(negative, ((0, 0), (0, 1)), constant_values=logit_scale * decision_cosine)
    highest = negative.max(axis=1, keepdims=True)
    against = highest + np.log(np.exp(negative - highest).sum(axis=1, keepdims=True))
    scores: NDArray[np.float32] = (1 / (1 + np.exp(np.minimum(against - positive, 700)))).astype(np.float32)
    return scores

"""The selector for text prompts: by class label where a prompt names one, by CLIP where it does not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.embedder import CropEmbedder, Embedder
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import PromptError
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors.ranking import Ranking
from fastsam_trt.selectors.selection import Selection


class TextSelector:
    """Selects what text prompts name.

    Labels come first: a segment whose class a prompt names is taken without CLIP, and its crop is never embedded. The
    other segments are embedded and compared, each for itself, with the other prompts and a set of negatives. A segment
    answers its most similar prompt if that prompt outweighs all negatives together, to the threshold's degree; so every
    match is found, and none where the thing is absent.
    """

    def __init__(
        self,
        labels: Mapping[int, int],
        texts: Mapping[int, str],
        clip: Clip | None,
        *,
        negatives: tuple[str, ...],
        templates: tuple[str, ...],
        threshold: float,
        embedder: Embedder | None = None,
    ) -> None:
        """Prepare the prompts.

        Args:
            labels: Class id to prompt id.
            texts: Prompt id to text, for the prompts that go to CLIP.
            clip: The CLIP model; None only where `texts` is empty.
            negatives: Texts that a segment may be instead.
            templates: Texts with `{}` where a prompt goes.
            threshold: Least similarity, 0..1, of a selected segment.
            embedder: Gives the segments' embeddings by that model; None: every one is made, of all in its box.
        """
        self._labels = dict(labels)
        self._text_ids = np.array(list(texts), np.int32)
        self._clip = clip
        self._threshold = threshold
        self._embedder = embedder if embedder is not None or clip is None else CropEmbedder(clip)
        if clip is not None and texts:
            # A negative that is itself a prompt would argue against its own match.
            asked = {text.casefold() for text in texts.values()}
            others = [text for text in negatives if text.casefold() not in asked]
            if not others:
                raise PromptError("expected at least one negative that is not a prompt too, found none; add one")
            features = clip.text.embed([*texts.values(), *others], templates)
            self._texts, self._negatives = features[: len(texts)], features[len(texts) :]

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Choose the segments that answer a prompt."""
        prompt_ids, similarities, labelled, crops_embedded = self._match(frame, segments)
        chosen = np.flatnonzero(labelled | (similarities >= self._threshold))
        pending = np.flatnonzero(prompt_ids < 0) if self._asks_clip else np.empty(0, np.intp)
        return Selection(chosen, prompt_ids[chosen], similarities[chosen], pending, crops_embedded)

    def rank(self, frame: NDArray[np.uint8], segments: Segments) -> Ranking:
        """Sort the segments by how well they answer their best prompt, selected or not."""
        prompt_ids, similarities, labelled, _ = self._match(frame, segments)
        order = np.lexsort((-segments.scores, -similarities, ~labelled))
        order = order[prompt_ids[order] >= 0]
        return Ranking(order, prompt_ids[order], similarities[order])

    @property
    def _asks_clip(self) -> bool:
        return self._clip is not None and len(self._text_ids) > 0

    def _match(
        self, frame: NDArray[np.uint8], segments: Segments
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_], int]:
        """Of each of n segments: its best prompt, CLIP's similarity to it, and whether its label answers it instead.

        A segment that CLIP has not seen yet has no best prompt, -1. Last, how many crops CLIP saw for this.
        """
        crops_embedded = 0
        prompt_ids = np.full(len(segments), -1, np.int32)
        similarities = np.full(len(segments), np.nan, np.float32)
        for class_id, prompt_id in self._labels.items():
            prompt_ids[segments.class_ids == class_id] = prompt_id
        labelled = prompt_ids >= 0
        rest = np.flatnonzero(~labelled)
        if self._clip is not None and self._embedder is not None and self._asks_clip and len(rest):
            asked = segments if len(rest) == len(segments) else segments.take(rest)
            found = self._embedder.embed(frame, asked)
            crops_embedded = found.crops_embedded
            clip, seen = self._clip, rest[found.known]
            if len(seen):
                vectors = found.vectors[found.known]
                matches = match_scores(vectors, self._texts, self._negatives, clip.logit_scale, clip.decision_cosine)
                best = matches.argmax(axis=1)
                prompt_ids[seen] = self._text_ids[best]
                similarities[seen] = matches[np.arange(len(seen)), best]
            self._embedder.record_margins(asked, np.abs(similarities[rest] - self._threshold))
        return prompt_ids, similarities, labelled, crops_embedded


def match_scores(
    embeddings: NDArray[np.float32],
    texts: NDArray[np.float32],
    negatives: NDArray[np.float32],
    logit_scale: float,
    decision_cosine: float | None = None,
) -> NDArray[np.float32]:
    """How sure CLIP is that a crop shows a prompt rather than any negative.

    A softmax over one prompt and the negatives, for each prompt apart, so that prompts do not argue with each other.
    A model that was calibrated adds one more negative, whose cosine is the same for every crop.

    Args:
        embeddings: (n, d) of crops, rows of length one.
        texts: (p, d) of prompts, rows of length one.
        negatives: (m, d) with m > 0, rows of length one.
        logit_scale: Factor from cosine to logit.
        decision_cosine: Cosine at which a prompt is as likely right as wrong; None for a model without calibration.

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

"""TrackEmbedder: embeds each tracked object when it appears and now and then after that, not in every frame."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.appearance_change import AppearanceChangeDetector
from fastsam_trt.clip.batch_latency import BatchLatency
from fastsam_trt.clip.crop_credit import CropCredit
from fastsam_trt.clip.duplicates import find_duplicates
from fastsam_trt.clip.embedder import CropModel, Embeddings, LatencyBudget
from fastsam_trt.clip.refresh import blend, refresh_urgency
from fastsam_trt.clip.refresh_schedule import DEFAULT_SCHEDULE, RefreshSchedule
from fastsam_trt.clip.track_table import TrackTable
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.masks.batch_ladder import LADDER
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.tracking.tracker import MAX_LOST_FRAMES


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One call of `embed`.

    Attributes:
        frame: (H, W, 3) uint8 BGR.
        segments: n segments.
        rows: (n,) rows of the segments in the table; -1 without a track.
        tracked: (k,) indices of the segments with a track.
    """

    frame: NDArray[np.uint8]
    segments: Segments
    rows: NDArray[np.intp]
    tracked: NDArray[np.intp]

    def sides_px(self, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """(k, 2) float32: width and height of the boxes of some segments."""
        boxes = self.segments.boxes[indices]
        sides: NDArray[np.float32] = boxes[:, 2:] - boxes[:, :2]
        return sides


class TrackEmbedder:
    """An `Embedder` that keeps one embedding per track.

    A crop is embedded at once if its track is new or looks different since CLIP saw it (see
    `AppearanceChangeDetector`). Segments with the same box share a crop. Later the embedding is refreshed: the older
    it is, the closer the decision was, or the more the box changed, the sooner (see `refresh_urgency`). Refreshes are
    limited per frame and in the long run (see `CropCredit`). Prompts have no influence, so that new prompts cost no
    crops. Segments without a track are embedded in every call.

    With a `LatencyBudget` crops are embedded in the largest batches that should finish in time (see `BatchLatency`):
    new crops first, by score and wait, then refreshes. The rest waits, and a track that waits for its first embedding,
    or for one of its new appearance, is not `known`. A crop that has waited for too long is embedded although there is
    no time, followed by a pause of the same length. So decisions are made even if the segmenter alone takes up the
    budget, and CLIP takes at most half of the time then.

    The numbers are in `RefreshSchedule`; `docs/tracking.md` shows them as a timeline.
    """

    def __init__(
        self,
        clip: CropModel,
        *,
        masked: bool = False,
        uploads: FrameUploads | None = None,
        max_lost_frames: int = MAX_LOST_FRAMES,
        schedule: RefreshSchedule = DEFAULT_SCHEDULE,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start without embeddings.

        Args:
            clip: The CLIP model.
            masked: Whether CLIP sees a segment's mask with the rest greyed, or everything in its box.
            uploads: The frames that the caller has uploaded; None: none.
            max_lost_frames: Frames after which the embedding of a lost track is dropped; as for the tracker.
            schedule: When to refresh embeddings.
            clock: Returns seconds on the clock of `LatencyBudget.captured_s`.
        """
        self._clip = clip
        self._masked = masked
        self._uploads = uploads
        self._max_lost_frames = max_lost_frames
        self._schedule = schedule
        self._clock = clock
        self._latency = BatchLatency()
        self._budget: LatencyBudget | None = None
        self._frame_crops = 0
        self._paused_until_s = -math.inf
        self.reset()

    def __len__(self) -> int:
        """Return the number of tracks that are kept."""
        return len(self._table)

    def reset(self) -> None:
        """Drop all embeddings."""
        self._table = TrackTable()
        self._changes = AppearanceChangeDetector()
        self._credit = CropCredit(self._schedule)

    def warm(self, frame_shape: tuple[int, ...]) -> None:
        """Run every batch size twice on a black frame: the first run may compile, the second is timed.

        Args:
            frame_shape: (H, W, 3) of the frames to come.
        """
        frame = np.zeros(frame_shape, np.uint8)
        height, width = frame_shape[:2]
        box = np.array([[width * 0.4, height * 0.4, width * 0.6, height * 0.6]], np.float32)
        for size in reversed(LADDER):
            for timed in (False, True):
                start_s = self._clock()
                self._clip.embed_boxes(frame, np.repeat(box, size, axis=0))
                if timed:
                    self._latency.record(size, (self._clock() - start_s) * 1e3)

    def begin(self, segments: Segments, budget: LatencyBudget | None = None) -> None:
        table, ids = self._table, np.unique(segments.track_ids[segments.track_ids >= 0])
        self._frame_crops, self._budget = 0, budget
        self._changes.begin()
        self._credit.begin(len(ids))
        rows = table.find(ids)
        records = table.records
        records["age_frames"] += 1
        records["lost_frames"] += 1
        records["lost_frames"][rows[rows >= 0]] = 0
        records["scored"] = records["compared"] = False
        table.keep(records["lost_frames"] <= self._max_lost_frames)
        table.add(ids[rows < 0])

    def embed(self, frame: NDArray[np.uint8], segments: Segments) -> Embeddings:
        crops_before, rows = self._frame_crops, self._table.find(segments.track_ids)
        tracked, untracked = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        call = _Call(frame, segments, rows, tracked)
        untracked_vectors = self._run_clip(call, untracked) if len(untracked) else None
        self._detect_changes(call)
        self._embed_tracked(call)
        table = self._table
        width = table.vectors.shape[1] if untracked_vectors is None else untracked_vectors.shape[1]
        vectors = np.zeros((len(rows), width), np.float32)
        known = np.ones(len(rows), np.bool_)
        known[tracked] = table.known(rows[tracked])
        if table.vectors.shape[1]:
            vectors[tracked] = np.where(known[tracked, None], table.vectors[rows[tracked]], 0)
        if untracked_vectors is not None:
            vectors[untracked] = untracked_vectors
        return Embeddings(vectors, known, self._frame_crops - crops_before)

    def record_margins(self, segments: Segments, margins: NDArray[np.float32]) -> None:
        rows = self._table.find(segments.track_ids)
        usable = (rows >= 0) & ~np.isnan(margins)
        rows, margins = rows[usable], margins[usable]
        records = self._table.records
        scored = records["scored"][rows]  # by another selector, in this frame; the smaller margin counts
        records["margin"][rows] = np.where(scored, np.fmin(records["margin"][rows], margins), margins)
        records["scored"][rows] = True

    def _detect_changes(self, call: _Call) -> None:
        """Mark the tracks that look different since CLIP saw them, once per frame."""
        records, rows, tracked = self._table.records, call.rows, call.tracked
        found = records[["lost_frames", "compared"]][rows[tracked]]
        # A ranking may ask about an earlier frame later; the tracks that are lost by now are not compared with it.
        new = tracked[(found["lost_frames"] == 0) & ~found["compared"]]
        if len(new):
            records[rows[new]] = self._changes.update(call.frame, call.segments.boxes[new], records[rows[new]])

    def _embed_tracked(self, call: _Call) -> None:
        """Embed the new crops and the refreshes of a call, as far as the budget allows."""
        rows, now_s = call.rows, self._clock()
        waiting, new_count = self._prioritise(call, now_s)
        duplicates = {} if self._masked else self._find_duplicates(call, waiting[:new_count])
        waiting, new_count = waiting[~np.isin(waiting, list(duplicates))], new_count - len(duplicates)
        done = 0
        while done < len(waiting):
            available_ms = (self._deadline_s() - self._clock()) * 1e3
            size = self._latency.largest_batch(len(waiting) - done, available_ms)
            if not size:
                break
            self._embed_batch(call, waiting[done : done + size])
            done += size
        self._credit.spend(done, max(done - new_count, 0))
        if done < len(waiting):
            self._embed_overdue(call, waiting[done:], max(new_count - done, 0), now_s)
        shared = [pair for pair in duplicates.items() if self._table.known(rows[[pair[1]]])[0]]
        if shared:
            targets, sources = np.array(shared, np.intp).T
            self._store(call, targets, self._table.vectors[rows[sources]])

    def _find_duplicates(self, call: _Call, wanted: NDArray[np.intp]) -> dict[int, int]:
        rows, tracked = call.rows, call.tracked
        known, changed = np.zeros((2, len(rows)), np.bool_)
        known[tracked] = self._table.known(rows[tracked])
        changed[tracked] = self._table.records["changed"][rows[tracked]]
        return find_duplicates(call.segments.boxes, wanted, known, changed)

    def _prioritise(self, call: _Call, now_s: float) -> tuple[NDArray[np.intp], int]:
        """Return the indices of the segments to embed, in order of priority, and how many of them are new crops."""
        schedule, records = self._schedule, self._table.records
        rows, tracked = call.rows[call.tracked], call.tracked
        new = ~self._table.known(rows)
        urgency = refresh_urgency(records[rows], call.sides_px(tracked), schedule)
        wanted = new | (urgency >= 1)
        since_s = np.where(wanted, np.fmin(records["waiting_since_s"][rows], now_s), np.nan)
        records["waiting_since_s"][rows] = since_s
        priority = call.segments.scores[tracked] + (now_s - since_s) / schedule.score_wait_s
        first = tracked[new][np.argsort(-priority[new], kind="stable")]
        due = np.flatnonzero(wanted & ~new)
        count = self._credit.refreshes(len(first), starved=bool((urgency[due] >= schedule.starved_urgency).any()))
        due = due[np.argsort(-urgency[due], kind="stable")][:count]
        return np.concatenate([first, tracked[due]]), len(first)

    def _embed_overdue(self, call: _Call, waiting: NDArray[np.intp], new_count: int, now_s: float) -> None:
        """Embed the crops that have waited longest if their patience is over, although there is no time."""
        schedule = self._schedule
        is_new = np.arange(len(waiting)) < new_count
        patience_s = np.where(is_new, schedule.new_patience_s, schedule.refresh_patience_s)
        patiences = (now_s - self._table.records["waiting_since_s"][call.rows[waiting]]) / patience_s
        start_s = self._clock()
        overdue = int((patiences >= 1).sum())
        if not overdue or start_s < self._paused_until_s:
            return
        budget_ms = 0.0 if self._budget is None else self._budget.budget_ms
        longest = min(float(patiences.max()), schedule.max_overdue_patiences)
        allowed_ms = min(schedule.overdue_budget_share * budget_ms * 2 ** (longest - 1), budget_ms)
        size = self._latency.largest_batch(overdue, allowed_ms) or int(not self._frame_crops)
        if not size:
            return
        chosen = np.argsort(-patiences, kind="stable")[:size]
        self._embed_batch(call, waiting[chosen])
        self._credit.spend(size, int((chosen >= new_count).sum()))
        end_s = self._clock()
        self._paused_until_s = end_s + schedule.overdue_pause_factor * (end_s - start_s)

    def _embed_batch(self, call: _Call, indices: NDArray[np.intp]) -> None:
        """Embed a batch and record its time; its size is one of `LADDER`."""
        start_s = self._clock()
        vectors = self._run_clip(call, indices)
        self._latency.record(len(indices), (self._clock() - start_s) * 1e3)
        self._store(call, indices, vectors)

    def _store(self, call: _Call, indices: NDArray[np.intp], vectors: NDArray[np.float32]) -> None:
        """Blend the new embeddings of (k,) segments into the table."""
        table, rows, sides_px = self._table, call.rows[indices], call.sides_px(indices)
        table.set_dimensions(vectors.shape[1])
        records = table.records
        table.vectors[rows] = blend(records[rows], table.vectors[rows], sides_px, vectors, self._schedule)
        records["embed_count"][rows] += 1
        records["age_frames"][rows] = 0
        records["embedded_sides_px"][rows] = sides_px
        records["waiting_since_s"][rows] = np.nan
        records["changed"][rows] = False
        records["embedded_appearance"][rows] = records["appearance"][rows]

    def _run_clip(self, call: _Call, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        self._frame_crops += len(indices)
        if self._masked:
            return self._clip.embed_masked(call.frame, call.segments.take(indices))
        return self._clip.embed_boxes(call.frame, call.segments.boxes[indices], self._uploads)

    def _deadline_s(self) -> float:
        """Return when the frame's crops have to be embedded, on the clock."""
        budget = self._budget
        if budget is None:
            return math.inf
        reserve_ms = min(budget.reserve_ms, self._schedule.max_reserve_share * budget.budget_ms)
        return budget.captured_s + (budget.budget_ms - reserve_ms) / 1e3

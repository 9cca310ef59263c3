"""TrackEmbedder: CLIP sees an object when it comes and from time to time, not in every frame."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.appearance_change import Watch
from fastsam_trt.clip.batch_latency import BatchLatency
from fastsam_trt.clip.duplicates import find_duplicates
from fastsam_trt.clip.embedder import Embeddings, LatencyBudget
from fastsam_trt.clip.model import Clip
from fastsam_trt.clip.refresh import blend, urgency
from fastsam_trt.clip.track_table import TrackTable
from fastsam_trt.masks.batch_ladder import LADDER
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.tracking.tracker import MAX_LOST_FRAMES

_REFRESH_SHARE = 0.1  # of the tracks of a frame: as many refreshes a frame, rounded up
_CROP_SHARE = 0.093  # of the segments seen, over a while: new tracks and looks take what they need, refreshes the rest
_MOST_SAVED = 3.0  # crops a track, that quiet times save for busy ones
_SAVED_FIRST = 8.0  # crops, to begin with; a few tracks may save as many too
_MOST_OWED = 20.0  # crops a track, that many new tracks at once take in advance
_DEBT_LEFT = 0.997  # of what is owed by more tracks than are there now, after each frame
_LONG_OVERDUE = 60.0  # urgency of a refresh that is made, one a frame, whatever new tracks took
_WAIT_S = 0.5  # a wait that lifts a new crop over any score
_PATIENCE_S = 0.3  # for which a new crop waits for time to spare
_REFRESH_PATIENCE_S = 3.0
_OVERDUE_SHARE = 0.2  # of the budget, for crops that have waited so long, doubled by as long again
_LONGEST = 8.0  # times their patience that counts
_MOST_RESERVED = 0.3  # of the budget, for what comes after: one hiccup there should not stop all decisions
_PAUSE = 1.0  # times as long as a crop took that no time was left for: until the next such


class TrackEmbedder:
    """Embeds segments once a track; fulfils `Embedder`.

    Every new track is embedded at once, and so is one that looks otherwise than CLIP saw it (see `Watch`), which
    replaces what was known. Where two have the same box, one crop does. Later the embedding is made again by age, by a
    change of the box, and sooner where CLIP was unsure (see `urgency`), and mixed with what was known (see `blend`).
    These refreshes are made for at most a tenth of the tracks a frame, the most urgent first, and over a while so many
    that CLIP sees a tenth of all segments, new tracks and looks included. These alone may be more; then refreshes that
    are long overdue are made all the same, one a frame. Prompts have no part in it: they may change, and nothing is
    embedded. Segments without a track are embedded each time.

    With a budget (see `LatencyBudget`), a frame has until then, less what comes after (of which at most three tenths of
    the budget count). Crops are embedded in batches of few sizes, the largest that should be done
    by then (see `BatchLatency`): new tracks and looks first, by the segmenter's score and by how long they have waited,
    then refreshes. Those that are left are tried again in the next frame; until then a new track is not known, nor one
    of a new look: what it was is no answer, unless it looks so again. What the
    budget has no time for is embedded all the same: a new crop after it has waited for 0.3 s, a refresh after 3 s, the
    longest overdue first, as many in a frame as a fifth of the budget should do (twice that after twice the wait, and
    so on, up to the budget) and one at least, and then none for as long as they took. So where the budget can be kept
    it is, and where it can't, because the segmenter alone takes it up or another program the processor, frames run over
    by those crops and CLIP takes no more than half of the time: decisions are made in time, and a stream that drops
    what it can't keep up with does not grow older.

    """

    def __init__(
        self,
        clip: Clip,
        *,
        masked: bool = False,
        max_lost_frames: int = MAX_LOST_FRAMES,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin without embeddings.

        Args:
            clip: The CLIP model.
            masked: Whether it sees a segment's mask alone, the rest greyed, or all that is in its box.
            max_lost_frames: How long the embedding of a track is kept that isn't seen; as long as the tracker keeps it.
            clock: Seconds, on the clock of the frames' capture.
        """
        self._clip = clip
        self._masked = masked
        self._keep = max_lost_frames
        self._clock = clock
        self._times = BatchLatency()
        self._table = TrackTable()
        self._watching = Watch()
        self._budget: LatencyBudget | None = None
        self._crops = 0  # that the frame has embedded
        self._refreshes = 0  # that the frame may still make
        self._saved = _SAVED_FIRST  # crops that refreshes may take; what new tracks take counts
        self._paused_until_s = -math.inf

    def __len__(self) -> int:
        """How many tracks are kept."""
        return len(self._table)

    def forget(self) -> None:
        """Drop all embeddings: what comes next has nothing to do with what was."""
        self._table = TrackTable()
        self._watching = Watch()
        self._saved = _SAVED_FIRST

    def warm(self, frame_shape: tuple[int, ...]) -> None:
        """Run every batch size twice on a black frame: first for the backend to compile, then to learn its time.

        Args:
            frame_shape: (H, W, 3) of the frames to come.
        """
        frame = np.zeros(frame_shape, np.uint8)
        height, width = frame_shape[:2]
        box = np.array([[width * 0.4, height * 0.4, width * 0.6, height * 0.6]], np.float32)
        for size in reversed(LADDER):
            for learnt in (False, True):
                start_s = self._clock()
                self._clip.embed_boxes(frame, np.repeat(box, size, axis=0))
                if learnt:
                    self._times.learn(size, (self._clock() - start_s) * 1e3)

    def begin(self, segments: Segments, budget: LatencyBudget | None = None) -> None:
        table, ids = self._table, np.unique(segments.track_ids[segments.track_ids >= 0])
        self._crops, self._budget = 0, budget
        self._watching.begin()
        rows = table.find(ids)
        saved = self._saved + _CROP_SHARE * len(ids)
        most_owed = min(-_MOST_OWED * len(ids), _DEBT_LEFT * self._saved)
        self._saved = min(max(saved, most_owed), max(_MOST_SAVED * len(ids), _SAVED_FIRST))
        self._refreshes = math.ceil(_REFRESH_SHARE * len(ids))
        records = table.records
        records["age"] += 1
        records["away"] += 1
        records["away"][rows[rows >= 0]] = 0
        records["judged"] = records["watched"] = False
        table.keep(records["away"] <= self._keep)
        table.add(ids[rows < 0])

    def embed(self, frame: NDArray[np.uint8], segments: Segments) -> Embeddings:
        before, rows = self._crops, self._table.find(segments.track_ids)
        tracked, loose = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        made = self._run(frame, segments, loose) if len(loose) else None
        self._watch(frame, segments, rows, tracked)
        self._update(frame, segments, rows, tracked)
        table = self._table
        width = table.vectors.shape[1] if made is None else made.shape[1]
        vectors = np.zeros((len(rows), width), np.float32)
        known = np.ones(len(rows), np.bool_)
        known[tracked] = table.known(rows[tracked])
        if table.vectors.shape[1]:
            vectors[tracked] = np.where(known[tracked, None], table.vectors[rows[tracked]], 0)
        if made is not None:
            vectors[loose] = made
        return Embeddings(vectors, known, self._crops - before)

    def record_margins(self, segments: Segments, margins: NDArray[np.float32]) -> None:
        rows = self._table.find(segments.track_ids)
        told = (rows >= 0) & ~np.isnan(margins)
        rows, margins = rows[told], margins[told]
        records = self._table.records
        again = records["judged"][rows]  # by another selector; the smaller margin counts
        records["margin"][rows] = np.where(again, np.fmin(records["margin"][rows], margins), margins)
        records["judged"][rows] = True

    def _watch(
        self, frame: NDArray[np.uint8], segments: Segments, rows: NDArray[np.intp], tracked: NDArray[np.intp]
    ) -> None:
        """Notice which of the `tracked` places look otherwise than CLIP saw them, once a frame."""
        records = self._table.records
        found = records[["away", "watched"]][rows[tracked]]
        # A frame that was begun is looked at once; one of before, which may be asked about again, not at all.
        new = tracked[(found["away"] == 0) & ~found["watched"]]
        if len(new):
            records[rows[new]] = self._watching.look(frame, segments.boxes[new], records[rows[new]])

    def _update(
        self, frame: NDArray[np.uint8], segments: Segments, rows: NDArray[np.intp], tracked: NDArray[np.intp]
    ) -> None:
        """Embed what is new and what is due of the `tracked` places, as far as the time goes."""
        table, now_s = self._table, self._clock()
        places, first = self._wanted(segments, rows, tracked, now_s)
        twins = {} if self._masked else self._find_twins(segments, rows, tracked, places[:first])
        places, first = places[~np.isin(places, list(twins))], first - len(twins)
        done = 0
        while done < len(places):
            left_ms = (self._deadline_s() - self._clock()) * 1e3
            size = self._times.largest(len(places) - done, left_ms)
            if not size:
                break
            self._embed_batch(frame, segments, rows, places[done : done + size])
            done += size
        self._spend(done, max(done - first, 0))
        if done < len(places):
            self._embed_overdue(frame, segments, rows, places[done:], max(first - done, 0), now_s)
        shared = np.array([pair for pair in twins.items() if table.known(rows[[pair[1]]])[0]], np.intp).reshape(-1, 2)
        if len(shared):
            to, of = shared.T
            self._take_in(rows[to], table.vectors[rows[of]], _sides(segments.boxes[to]))

    def _find_twins(
        self, segments: Segments, rows: NDArray[np.intp], tracked: NDArray[np.intp], wanted: NDArray[np.intp]
    ) -> dict[int, int]:
        known, changed = np.zeros((2, len(rows)), np.bool_)
        known[tracked] = self._table.known(rows[tracked])
        changed[tracked] = self._table.records["changed"][rows[tracked]]
        return find_duplicates(segments.boxes, wanted, known, changed)

    def _wanted(
        self, segments: Segments, rows: NDArray[np.intp], tracked: NDArray[np.intp], now_s: float
    ) -> tuple[NDArray[np.intp], int]:
        """The places to embed, best first, and how many of them are new or look otherwise than before."""
        records = self._table.records
        found = records[rows[tracked]]
        new = ~self._table.known(rows[tracked])
        urgent = urgency(found, _sides(segments.boxes[tracked]))
        wanted = new | (urgent >= 1)
        since_s = np.where(wanted, np.fmin(found["wanted_s"], now_s), np.nan)
        records["wanted_s"][rows[tracked]] = since_s
        promise = segments.scores[tracked] + (now_s - since_s) / _WAIT_S
        first = tracked[new][np.argsort(-promise[new], kind="stable")]
        due = np.flatnonzero(wanted & ~new)
        late = min(np.count_nonzero(urgent[due] >= _LONG_OVERDUE), 1)
        spare = max(min(self._refreshes, max(math.floor(self._saved) - len(first), late)), 0)
        due = due[np.argsort(-urgent[due], kind="stable")][:spare]
        return np.concatenate([first, tracked[due]]), len(first)

    def _embed_overdue(
        self,
        frame: NDArray[np.uint8],
        segments: Segments,
        rows: NDArray[np.intp],
        places: NDArray[np.intp],
        first: int,
        now_s: float,
    ) -> None:
        """Embed the crops that have waited longest for their patience, if some have, though there is no time left."""
        patience_s = np.where(np.arange(len(places)) < first, _PATIENCE_S, _REFRESH_PATIENCE_S)
        waited = (now_s - self._table.records["wanted_s"][rows[places]]) / patience_s
        start_s = self._clock()
        late = int((waited >= 1).sum())
        if not late or start_s < self._paused_until_s:
            return
        budget_ms = 0.0 if self._budget is None else self._budget.budget_ms
        over_ms = min(_OVERDUE_SHARE * budget_ms * 2 ** (min(float(waited.max()), _LONGEST) - 1), budget_ms)
        size = self._times.largest(late, over_ms) or int(not self._crops)
        if not size:
            return
        longest = np.argsort(-waited, kind="stable")[:size]
        self._embed_batch(frame, segments, rows, places[longest])
        self._spend(size, int((longest >= first).sum()))
        end_s = self._clock()
        self._paused_until_s = end_s + _PAUSE * (end_s - start_s)

    def _spend(self, crops: int, refreshes: int) -> None:
        self._saved -= crops
        self._refreshes -= refreshes

    def _embed_batch(
        self, frame: NDArray[np.uint8], segments: Segments, rows: NDArray[np.intp], places: NDArray[np.intp]
    ) -> None:
        """Embed a batch of a size of the ladder, and learn its time."""
        start_s = self._clock()
        vectors = self._run(frame, segments, places)
        self._times.learn(len(places), (self._clock() - start_s) * 1e3)
        self._take_in(rows[places], vectors, _sides(segments.boxes[places]))

    def _take_in(self, rows: NDArray[np.intp], vectors: NDArray[np.float32], sides: NDArray[np.float32]) -> None:
        table = self._table
        table.widen(vectors.shape[1])
        records = table.records
        table.vectors[rows] = blend(records[rows], table.vectors[rows], sides, vectors)
        records["times"][rows] += 1
        records["age"][rows] = 0
        records["sides"][rows] = sides
        records["wanted_s"][rows] = np.nan
        records["changed"][rows] = False
        records["embedded_look"][rows] = records["look"][rows]

    def _run(self, frame: NDArray[np.uint8], segments: Segments, places: NDArray[np.intp]) -> NDArray[np.float32]:
        self._crops += len(places)
        if self._masked:
            return self._clip.embed_masked(frame, segments.take(places))
        return self._clip.embed_boxes(frame, segments.boxes[places])

    def _deadline_s(self) -> float:
        budget = self._budget
        if budget is None:
            return math.inf
        reserve_ms = min(budget.reserve_ms, _MOST_RESERVED * budget.budget_ms)
        return budget.captured_s + (budget.budget_ms - reserve_ms) / 1e3


def _sides(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Width and height of (k, 4) boxes: (k, 2) px."""
    sides: NDArray[np.float32] = boxes[:, 2:] - boxes[:, :2]
    return sides

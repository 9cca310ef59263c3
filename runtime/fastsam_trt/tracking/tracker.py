"""Tracker: which segment of a frame is the same object as one of the frames before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.tracking.association import affinities, best_first
from fastsam_trt.tracking.scene_cut import Continuity, SceneCut

MAX_LOST_FRAMES = 60

# Each is of a steady picture, and of one whose segments flicker.
_LEAST = 0.3, 0.2
_LOST_PENALTY = 0.017, 0.005  # for each frame that a track was away
_PATIENCE = 6, 30  # frames that a track is kept for each frame that it was seen
_KEEP_SHARE = 0.5, 1.0
_STEADY, _FLICKERING = 0.04, 0.06  # new tracks for each segment seen
_MEMORY = 0.98, 100.0  # of that rate: what is left of it after a frame, and the segments that it begins with
_MOST_TRACKS = 1024
_GAIN = 0.35  # of a new velocity; the first few count evenly
_COAST = 0.9  # what is left of a velocity after each frame without its object
_CUT_SHARE = 0.2  # fewer of the tracks than this go on: the scene has changed
_CUT_TRACKS = 3
_CUT_LEAST = 0.75  # affinity that a link over a cut needs
_IDS = 1 << 31


class Tracker:
    """Gives every segment the id of its track.

    Each track is a box that moves with a smoothed velocity. In each frame the boxes are predicted, held against the
    segments' boxes (see `affinities`), and paired best first; a segment that is left over begins a track. A track
    without a segment is kept for a while, at most as many frames as `max_lost_frames`, and coasts to a stop. Where almost
    none of the tracks goes on, the scene may have changed: what links are left must be very good ones. Where the frames
    themselves show a cut (see `SceneCut`), all tracks end; they go on if their scene is back within a few frames.

    Where many tracks are new for the segments that are seen, a detector flickers, and what comes is mostly what was
    there before: tracks are then kept for longer and continued more freely. In a steady picture the same rules would
    hand ids from one object to the next.

    Why no library: `trackers`, `norfair` and `motpy` all bring scipy, and supervision, rich, requests or filterpy with
    it, for a filter object a track and a loop over them. Why pairs are made best first: an optimal assignment, which
    would take scipy or `lapx`, gives up a sure pair for two doubtful ones. On crowded demo videos that moved tracks to
    other objects 1.4 times as often.
    """

    def __init__(self, *, max_lost_frames: int = MAX_LOST_FRAMES) -> None:
        """Begin without tracks.

        Args:
            max_lost_frames: How long a track may be away and still come back where segments flicker; elsewhere half of it.
        """
        self._keep = max_lost_frames
        self._next = 0
        self._scene = SceneCut()
        self._frames = 0
        self._cut_frame = 0
        self._before_cut: tuple[NDArray[Any], ...] | None = None
        self.forget()

    def __len__(self) -> int:
        """How many tracks are kept, those away included."""
        return len(self._ids)

    def forget(self) -> None:
        """Drop all tracks. Their ids are not used again."""
        self._ids = np.empty(0, np.int32)
        self._classes = np.empty(0, np.int32)
        self._boxes = np.empty((0, 4), np.float32)
        self._velocities = np.empty((0, 2), np.float32)  # of the centre, px a frame
        self._seen = np.empty(0, np.int32)  # frames with the object
        self._away = np.empty(0, np.int32)  # frames since
        self._births, self._found = 0.0, _MEMORY[1]  # new tracks, and segments, of late

    def update(
        self, segments: Segments, frame: NDArray[np.uint8] | None = None, time_s: float | None = None
    ) -> NDArray[np.int32]:
        """Go on to the next frame.

        Args:
            segments: All n segments of the frame.
            frame: (H, W, 3) uint8 BGR, to notice cuts by; None: by the segments alone.
            time_s: Its place in its source's time, to notice gaps by, where that is known.

        Returns:
            (n,) int32 from 0: the tracks' ids, each at most once. An id is never given to another track (after 2**31
            tracks they begin at 0 again).
        """
        self._frames += 1
        if frame is not None:
            self._go_on(self._scene.follow(frame, time_s))
        boxes = np.nan_to_num(segments.boxes, posinf=0, neginf=0).astype(np.float32)
        predicted = self._boxes + np.tile(self._drift(), 2)
        affinity = affinities(predicted, self._classes, boxes, segments.class_ids)
        affinity -= np.float32(self._mix(_LOST_PENALTY)) * self._away[:, None]
        tracks, places = best_first(affinity, self._mix(_LEAST))
        if self._is_cut(tracks, len(boxes)):
            good = affinity[tracks, places] >= _CUT_LEAST
            tracks, places = tracks[good], places[good]
        ids = np.full(len(boxes), -1, np.int32)
        ids[places] = self._ids[tracks]
        self._move(tracks, boxes[places], segments.class_ids[places])
        new = ids < 0
        ids[new] = self._add(boxes[new], segments.class_ids[new])
        self._births = self._births * _MEMORY[0] + new.sum()
        self._found = self._found * _MEMORY[0] + len(ids)
        return ids

    def _go_on(self, continuity: Continuity) -> None:
        """End all tracks at a cut, and go on with them where it was none."""
        if continuity == "cut":
            self._before_cut = self._state()
            self._cut_frame = self._frames
            self._take(np.empty(0, np.intp))
        elif continuity == "back" and self._before_cut is not None:
            self._ids, self._classes, self._boxes, self._velocities, self._seen, away = self._before_cut
            self._away = away + np.int32(self._frames - self._cut_frame)

    def _mix(self, bounds: tuple[float, float]) -> float:
        """Between what holds for a steady and for a flickering picture."""
        rate = self._births / max(self._found, 1)
        share = min(max((rate - _STEADY) / (_FLICKERING - _STEADY), 0), 1)
        return bounds[0] + share * (bounds[1] - bounds[0])

    def _drift(self) -> NDArray[np.float32]:
        """How far each track has gone since it was seen: (t, 2) px. Each frame away adds less."""
        frames = (1 - np.float32(_COAST) ** (self._away + 1)) / np.float32(1 - _COAST)
        drift: NDArray[np.float32] = self._velocities * frames[:, None].astype(np.float32)
        return drift

    def _is_cut(self, tracks: NDArray[np.intp], found: int) -> bool:
        """Whether the scene has changed, by how many of the tracks that were there a frame ago go on."""
        present = self._away == 0
        total = min(int(present.sum()), found)
        return total >= _CUT_TRACKS and present[tracks].sum() < _CUT_SHARE * total

    def _move(self, tracks: NDArray[np.intp], boxes: NDArray[np.float32], class_ids: NDArray[np.int32]) -> None:
        """Take in what was found of (k,) tracks, count the others away, and drop those that are gone for good."""
        step = (boxes[:, :2] + boxes[:, 2:] - self._boxes[tracks, :2] - self._boxes[tracks, 2:]) / 2
        step /= (self._away[tracks] + 1)[:, None]
        gain = np.maximum(1 / self._seen[tracks], _GAIN).astype(np.float32)[:, None]
        self._velocities[tracks] += gain * (step - self._velocities[tracks])
        self._boxes[tracks], self._classes[tracks] = boxes, class_ids
        self._away += 1
        self._away[tracks] = 0
        self._seen[tracks] = np.minimum(self._seen[tracks] + 1, self._keep)
        self._take(self._away <= np.minimum(self._keep * self._mix(_KEEP_SHARE), self._seen * self._mix(_PATIENCE)))

    def _add(self, boxes: NDArray[np.float32], class_ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Begin (k,) tracks; where there are too many, those that were away longest make room."""
        count = len(boxes)
        spare = max(_MOST_TRACKS - count, 0)
        if len(self._ids) > spare:
            self._take(np.sort(np.argsort(self._away, kind="stable")[:spare]))
        ids = ((self._next + np.arange(count)) % _IDS).astype(np.int32)
        self._next += count
        self._ids = np.concatenate([self._ids, ids])
        self._classes = np.concatenate([self._classes, class_ids.astype(np.int32)])
        self._boxes = np.concatenate([self._boxes, boxes])
        self._velocities = np.concatenate([self._velocities, np.zeros((count, 2), np.float32)])
        self._seen = np.concatenate([self._seen, np.ones(count, np.int32)])
        self._away = np.concatenate([self._away, np.zeros(count, np.int32)])
        return ids

    def _state(self) -> tuple[NDArray[Any], ...]:
        return self._ids, self._classes, self._boxes, self._velocities, self._seen, self._away

    def _take(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> None:
        self._ids, self._classes, self._boxes = self._ids[kept], self._classes[kept], self._boxes[kept]
        self._velocities, self._seen, self._away = self._velocities[kept], self._seen[kept], self._away[kept]

"""CropCredit: how many refreshes a frame may make, so that CLIP sees a bounded share of all segments."""

from __future__ import annotations

import math

from fastsam_trt.clip.refresh_schedule import RefreshSchedule


class CropCredit:
    """An account of crops. Each segment adds a fraction of a crop, each embedded crop takes one.

    New tracks are embedded whatever the balance is and may put it into debt; refreshes need credit. `RefreshSchedule`
    bounds both credit and debt.
    """

    def __init__(self, schedule: RefreshSchedule) -> None:
        self._schedule = schedule
        self._crops = schedule.initial_credit_crops
        self._frame_refreshes = 0  # that the frame may still make

    def begin(self, tracks: int) -> None:
        """Start a frame with some number of tracks."""
        schedule = self._schedule
        crops = self._crops + schedule.crop_share * tracks
        debt = min(-schedule.max_debt_crops_per_track * tracks, schedule.debt_kept_per_frame * self._crops)
        most = max(schedule.max_credit_crops_per_track * tracks, schedule.initial_credit_crops)
        self._crops = min(max(crops, debt), most)
        self._frame_refreshes = math.ceil(schedule.max_refresh_share * tracks)

    def refreshes(self, new: int, *, starved: bool) -> int:
        """Return how many refreshes may be made.

        Args:
            new: New crops that are embedded first.
            starved: Whether a refresh has waited so long that one is made whatever the balance is.
        """
        return max(min(self._frame_refreshes, max(math.floor(self._crops) - new, int(starved))), 0)

    def spend(self, crops: int, refreshes: int) -> None:
        """Take crops that were embedded, `refreshes` of them refreshes."""
        self._crops -= crops
        self._frame_refreshes -= refreshes

"""RefreshSchedule: when CLIP sees a tracked object again, and what that may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefreshSchedule:
    """Tuning of `TrackEmbedder`. `docs/tracking.md` shows it as a timeline.

    A crop is `new` if its track has no valid embedding, and a `refresh` if it renews one. Urgency is 1 when a refresh
    is due. The values were tuned on the demo video with seed 7; `benchmarks/claims/tracks.py` checks them on other
    videos (10 % of the segments embedded, F1 within 0.01 of embedding every crop). Those that concern a latency budget
    were tuned with `benchmarks/claims/live_budget.py` (every decision within 1 s).

    Attributes:
        refresh_intervals_frames: Frames until the next refresh after the first embedding, the second, and so on; the
            last holds from then on. A new object is often still entering the frame, so its first views age quickly.
        min_gap_frames: Fewest frames between two embeddings of a track; after its first few embeddings the gap is one
            frame, two, and so on up to this. It keeps a box that flickers from being refreshed in every frame.
        resize_ratio: Growth or shrinkage of a box's width or height that makes a refresh due at once, because another
            part of the object is visible.
        resize_urgency: Urgency of such a refresh just above that ratio. Being above 1, it goes before refreshes by age.
        close_margin: Distance of a similarity from the threshold, 0..1, below which the decision counts as close.
        close_urgency: How much the urgency of a track at the threshold exceeds that of a clear one: 2 triples it.
        old_weight: Weight of the old embedding against 1 for the new one. One view is noisy, but a mean of many views
            is unlike the single views that the similarities were calibrated on.
        growth_power: Power of the ratio of the old box's area to the new one by which the old weight shrinks. A view of
            an object that was half hidden should hardly count.
        max_refresh_share: Refreshes per frame, as a share of its tracks, rounded up. It spreads the work over frames.
        crop_share: Crops per segment in the long run, new ones included; refreshes take what new crops leave. The bound
            is 0.1, and this leaves a margin.
        initial_credit_crops: Crops that refreshes may take at the start, and always may save up.
        max_credit_crops_per_track: Crops that quiet times may save up for busy ones, per track.
        max_debt_crops_per_track: Crops that new tracks may take in advance, per track of the frame; more are free, so
            that refreshes stop for a limited time only.
        debt_kept_per_frame: Share of a larger debt that is kept per frame once the tracks that made it are gone.
        starved_urgency: Urgency from which one refresh per frame is made despite a debt, so that none waits forever.
        score_wait_s: Wait of a new crop that counts as much as a segment score of 1. High scores go first, and no crop
            waits forever behind them.
        new_patience_s: Wait after which a new crop is embedded even if the budget has no time for it.
        refresh_patience_s: The same for a refresh, which is less urgent because the old embedding is still in use.
        overdue_budget_share: Share of the budget that overdue crops may take when their patience ends; it doubles with
            each further patience, up to the whole budget.
        max_overdue_patiences: Wait, in patiences, up to which it doubles.
        overdue_pause_factor: Pause after overdue crops, as a multiple of the time that they took. With 1 CLIP takes at
            most half of the time.
        max_reserve_share: Share of the budget that may be reserved for later stages. One slow frame there should not
            stop all decisions.
    """

    refresh_intervals_frames: tuple[float, ...] = (3, 10, 30, 90)
    min_gap_frames: int = 4
    resize_ratio: float = 1.25
    resize_urgency: float = 4.0
    close_margin: float = 0.25
    close_urgency: float = 2.0
    old_weight: float = 0.5
    growth_power: int = 4
    max_refresh_share: float = 0.1
    crop_share: float = 0.093
    initial_credit_crops: float = 8.0
    max_credit_crops_per_track: float = 3.0
    max_debt_crops_per_track: float = 20.0
    debt_kept_per_frame: float = 0.997
    starved_urgency: float = 60.0
    score_wait_s: float = 0.5
    new_patience_s: float = 0.3
    refresh_patience_s: float = 3.0
    overdue_budget_share: float = 0.2
    max_overdue_patiences: float = 8.0
    overdue_pause_factor: float = 1.0
    max_reserve_share: float = 0.3


DEFAULT_SCHEDULE = RefreshSchedule()

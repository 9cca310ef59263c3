"""Summarise the statistics of a run in one line, during the run and at its end."""

from __future__ import annotations

import math

from fastsam_trt.sources import SourceHealth
from fastsam_trt.streaming import Snapshot


def ending(snapshot: Snapshot, *, aged: bool) -> str:
    """The line that a run prints at its end.

    Args:
        snapshot: Its statistics. The frame rate covers the whole time from the first capture to the last output.
        aged: Whether to print the age of frames, as for videos and live sources.
    """
    stages = ", ".join(f"{stage} {p50:.1f}/{p99:.1f}" for stage, (p50, p99) in snapshot.stages.items())
    frames, segments = count(snapshot.frames, "frame"), count(snapshot.segments, "selected segment")
    parts = [f"{frames}, {segments}, {snapshot.fps_out_mean:.1f} FPS", f"ms p50/p99: {stages}"]
    if aged:
        parts.append(f"frame age p50/p99 {snapshot.age_p50_ms:.1f}/{snapshot.age_p99_ms:.1f} ms")
        parts.append(f"dropped {count(snapshot.dropped, 'frame')}")
    if snapshot.failed:
        parts.append(f"{count(snapshot.failed, 'file')} failed")
    if snapshot.embedded:
        parts.append(f"embedded {snapshot.embedded_per_frame:.1f} crops per frame")
    if snapshot.pending:
        parts.append(f"{count(snapshot.pending, 'decision')} deferred")
    if snapshot.health.losses:
        parts.append(f"source lost {count(snapshot.health.losses, 'time')} for {snapshot.health.away_s:.1f} s")
    damage = _damage(snapshot.health)
    if damage:
        parts.append(damage)
    return "; ".join(parts)


def live(snapshot: Snapshot) -> str:
    """The text beside the progress bar, for the last ten seconds."""
    queues = "/".join(str(depth) for depth in snapshot.queues.values())
    parts = [f"{snapshot.fps_out:.1f} FPS"]
    if not math.isnan(snapshot.age_p50_live_ms):  # before the first frame is done
        parts.append(f"age {snapshot.age_p50_live_ms:.0f}/{snapshot.age_p99_live_ms:.0f} ms")
    parts += [
        f"dropped {snapshot.dropped}",
        f"crops {snapshot.embedded_per_frame:.1f}",
        f"queues {queues}",
    ]
    if snapshot.health.losses:
        parts.append(f"lost {snapshot.health.losses}")
    if snapshot.health.lost_frames:
        parts.append(f"damaged: {snapshot.health.lost_frames} lost")
    return ", ".join(parts)


def _damage(health: SourceHealth) -> str:
    """Describe the damage in the source; empty if no frame is damaged."""
    if not (health.lost_frames or health.damaged_frames):
        return ""
    frames = f"{count(health.lost_frames, 'frame')} lost, {health.damaged_frames} partly decoded"
    return f"damage in the source: {frames}, {count(health.stream_errors, 'stream error')} skipped"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 frame`, `2 frames`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")

"""Metrics: counts and times of requests, in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

import itertools
import os
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STATM = Path("/proc/self/statm")

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(_BUCKETS_S, seconds)] += 1
        self.total_s += seconds


class Metrics:
    """Counts and times of a server. It is used on the event loop's thread only.

    Attributes:
        images, segments: How many images were segmented, and how many segments were selected in them.
    """

    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """Start at zero.

        Args:
            gauges: Name to help text and value, which is read when the metrics are.
        """
        self._gauges = gauges
        self._requests: dict[Labels, int] = defaultdict(int)
        self._request_s: dict[Labels, _Histogram] = defaultdict(_Histogram)
        self._stages: dict[Labels, _Histogram] = defaultdict(_Histogram)
        self.images = self.segments = self.body_bytes = 0
        self._started_s = time.time()

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request: its route, its status, and its whole time with the body."""
        self._requests[("path", path), ("status", str(status))] += 1
        self._request_s[(("path", path),)].add(seconds)

    def count_image(self, segments: int, ms: Mapping[str, float]) -> None:
        """Count a segmented image: how many segments were selected, and the time of each stage."""
        self.images += 1
        self.segments += segments
        for stage, value in ms.items():
            self._stages[(("stage", stage),)].add(value / 1e3)

    def text(self) -> str:
        """All of it."""
        return "\n".join((*self._lines(), ""))

    def _lines(self) -> Iterator[str]:
        yield from _family("requests_total", "counter", "Answered requests by route and status.")
        yield from (_sample("requests_total", labels, count) for labels, count in self._requests.items())
        yield from _family("request_seconds", "histogram", "Time from a request's headers to its answer.")
        yield from _histograms("request_seconds", self._request_s)
        yield from _family("stage_seconds", "histogram", "Time of each stage of an image.")
        yield from _histograms("stage_seconds", self._stages)
        for name, help_text, count in (
            ("images_total", "Images segmented.", self.images),
            ("segments_total", "Segments selected.", self.segments),
        ):
            yield from _family(name, "counter", help_text)
            yield _sample(name, (), count)
        for name, (help_text, read) in self._gauges.items():
            yield from _family(name, "counter" if name.endswith("_total") else "gauge", help_text)
            yield _sample(name, (), read())
        yield from self._process()

    def _process(self) -> Iterator[str]:
        """The process's metrics that every Prometheus client has."""
        yield from _family("process_cpu_seconds_total", "counter", "Processor time of the process.", prefix="")
        yield _sample("process_cpu_seconds_total", (), time.process_time(), prefix="")
        yield from _family("process_start_time_seconds", "gauge", "When the server started, Unix time.", prefix="")
        yield _sample("process_start_time_seconds", (), self._started_s, prefix="")
        if _STATM.exists():
            resident = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            yield from _family("process_resident_memory_bytes", "gauge", "Resident memory.", prefix="")
            yield _sample("process_resident_memory_bytes", (), resident, prefix="")


_PREFIX = "fastsam_trt_"


def _family(name: str, kind: str, help_text: str, prefix: str = _PREFIX) -> Iterator[str]:
    yield f"# HELP {prefix}{name} {help_text}"
    yield f"# TYPE {prefix}{name} {kind}"


def _sample(name: str, labels: Labels, value: float, prefix: str = _PREFIX) -> str:
    shown = ",".join(f'{key}="{text}"' for key, text in labels)  # no label has a quote, backslash or line break
    number = str(value) if isinstance(value, int) else f"{value:.10g}"
    return f"{prefix}{name}{f'{{{shown}}}' if shown else ''} {number}"


def _histograms(name: str, histograms: Mapping[Labels, _Histogram]) -> Iterator[str]:
    for labels, histogram in histograms.items():
        bounds = (*(f"{bound:g}" for bound in _BUCKETS_S), "+Inf")
        cumulative = list(itertools.accumulate(histogram.counts))
        for bound, count in zip(bounds, cumulative, strict=True):
            yield _sample(f"{name}_bucket", (*labels, ("le", bound)), count)
        yield _sample(f"{name}_sum", labels, histogram.total_s)
        yield _sample(f"{name}_count", labels, cumulative[-1])

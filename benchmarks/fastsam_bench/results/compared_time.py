"""A time with its error, from one run or several, for comparisons.

The error of a single run comes from its interval, over about ten blocks. From four runs on it comes from their scatter,
which includes differences between processes that do the same, and changes of the machine over time. The result is then
the trimmed mean of the logarithms, without an eighth at either end, so that one disturbed run decides nothing (Yuen,
Biometrika 61, 1974: standard error from the winsorised deviation).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

import numpy as np

from fastsam_bench.results.records import Interval

ENOUGH_RUNS = 4
"""Number of runs from which their scatter is used."""
_TRIMMED = 8  # one in eight runs is left out at either end
_FREEDOM_OF_BLOCKS = 9  # degrees of freedom of an interval over about ten blocks
_Z975 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class ComparedTime:
    """A time and its error.

    Attributes:
        time: ms, with its 95 percent interval.
        error: Relative standard error.
        freedom: Degrees of freedom of the error.
        runs: Number of runs.
    """

    time: Interval
    error: float
    freedom: int
    runs: int

    @classmethod
    def of(cls, times: Sequence[Interval]) -> ComparedTime:
        """Combine the times of several runs. Of fewer than four, the median and the widest interval count.

        Args:
            times: At least one time above 0, one per run.
        """
        if len(times) >= ENOUGH_RUNS:
            return cls._of_runs([time.p50 for time in times])
        low, high = min(time.low for time in times), max(time.high for time in times)
        error = math.log(high / low) / (2 * _Z975)
        return cls(Interval(median(time.p50 for time in times), low, high), error, _FREEDOM_OF_BLOCKS, len(times))

    @classmethod
    def _of_runs(cls, times_ms: Sequence[float]) -> ComparedTime:
        logs = np.sort(np.log(times_ms))
        cut = len(logs) // _TRIMMED
        kept = logs[cut : len(logs) - cut]
        winsorised = np.clip(logs, kept[0], kept[-1])
        power = float(np.sum((winsorised - winsorised.mean()) ** 2))
        error = math.sqrt(power / (len(kept) * (len(kept) - 1)))
        middle, reach = float(kept.mean()), student_t(0.975, len(kept) - 1) * error
        interval = Interval(*(math.exp(middle + part) for part in (0.0, -reach, reach)))
        return cls(interval, error, len(kept) - 1, len(logs))


def student_t(probability: float, freedom: float) -> float:
    """Quantile of Student's t by Fisher and Cornish's expansion (Abramowitz and Stegun, 26.7.5).

    It is exact to 1 percent up to 0.99995 from 6 degrees of freedom on, and up to 0.975 from 3 on.
    """
    z = NormalDist().inv_cdf(probability)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * freedom**4)
    )

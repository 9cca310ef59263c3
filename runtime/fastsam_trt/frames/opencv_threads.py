"""OpenCV's threads, which it has one number of for the whole process.

OpenCV heeds the process's CPU affinity by itself, but no quota of its control group: with half a CPU's quota it starts
a thread for each of the machine's CPUs, which then use the quota up and are stopped together.

numpy needs nothing of the kind: products on the path of a frame are kept too small for its BLAS library to start
threads for (see `axis_resize`).
"""

from __future__ import annotations

import cv2

from fastsam_engine.cpu_count import CpuCount


def limit_opencv_threads(asked: int | None = None) -> None:
    """Lower the number of OpenCV's threads to the CPUs that this process may use; it is never raised.

    Args:
        asked: Fewer still.

    Raises:
        ThreadsError: `asked` is no number of CPUs that may be used.
    """
    count = CpuCount.of_process()
    most = count.usable if asked is None else count.threads(asked)
    if cv2.getNumThreads() > most:
        cv2.setNumThreads(most)

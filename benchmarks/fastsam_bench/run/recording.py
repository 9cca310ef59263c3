"""Recording: a run's records, written as they are made."""

from __future__ import annotations

from pathlib import Path

from fastsam_bench.results.results_file import ResultsWriter
from fastsam_bench.run.bench import Bench
from fastsam_bench.run.run_record import new_run_id


def record(path: Path, bench: Bench, command: tuple[str, ...]) -> bool:
    """Measure, and add the records to a file of results; True where Ctrl-C stopped that.

    Args:
        path: Of the file; made if need be.
        bench: What to measure.
        command: As typed.

    Raises:
        FastsamError: As `Bench.records`.
        OSError: The file can't be written.
    """
    with ResultsWriter(path, new_run_id()) as writer:
        writer.write(bench.head(command))
        try:
            for each in bench.records():
                writer.write(each)
        except KeyboardInterrupt:
            for cell in bench.salvaged():
                writer.write(cell)
            return True
    return False

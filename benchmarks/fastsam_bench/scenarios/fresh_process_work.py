"""Do the measurement of a child process, as requested by `run_child`.

python -m fastsam_bench.scenarios.fresh_process_work memory '{"scenario": "single", ...}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """Measure, and print the answer as JSON."""
    what, request = sys.argv[1:]
    if what == "cold":
        from fastsam_bench.scenarios.cold_start import first_result

        found: Mapping[str, Any] = first_result(json.loads(request))
    else:
        from fastsam_bench.cases.case import CellCase
        from fastsam_bench.scenarios.memory import memory_of

        found = memory_of(CellCase.from_json(request))
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()

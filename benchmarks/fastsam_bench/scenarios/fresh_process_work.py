"""What a child process does: the work that `run_child` asks for.

python -m fastsam_bench.scenarios.fresh_process_work memory '{"scenario": "single", ...}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """In the child: do the work and print what was found."""
    what, asked = sys.argv[1:]
    if what == "cold":
        from fastsam_bench.scenarios.cold_start import first_result

        found: Mapping[str, Any] = first_result(json.loads(asked))
    else:
        from fastsam_bench.cases.case import CellCase
        from fastsam_bench.scenarios.memory import memory_of

        found = memory_of(CellCase.from_json(asked))
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()

"""Put the folder `benchmarks` on the import path. Workers do not: they run in the environments of peers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

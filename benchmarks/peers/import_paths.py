"""The folder above on the path: this process, unlike the workers, shares what the other benchmarks share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

"""Describe the machine that measurements were taken on: processor, system, versions."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fastsam_engine.packages import version


@dataclass(frozen=True, slots=True)
class Machine:
    """The parts of a machine that measurements depend on.

    Attributes:
        processor: Its name in the operating system.
        cores: Number of logical cores.
        system: Operating system and release.
        python: Version of Python.
        versions: Package to version, or to "not installed".
    """

    processor: str
    cores: int
    system: str
    python: str
    versions: dict[str, str]


def this_machine(packages: Iterable[str]) -> Machine:
    """Describe this machine, with the versions of some packages."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text() if cpuinfo.is_file() else "", re.MULTILINE)
    return Machine(
        processor=named[1] if named else platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        system=platform.platform(),
        python=platform.python_version(),
        versions={name: version(name) or "not installed" for name in packages},
    )

"""Pins: the versions that a peer's environment is to have, and those that it has. Nothing but Python is needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = tuple(sorted(path.stem.removeprefix("requirements-") for path in HERE.glob("requirements-*.txt")))
MISSING = "not installed"


def requirements(peer: str) -> Path:
    """The file that pins a peer's packages."""
    return HERE / f"requirements-{peer}.txt"


def pinned(path: Path) -> dict[str, str]:
    """Package to version, as a file of requirements says it.

    Raises:
        ValueError: A line pins nothing.
    """
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        said = line.partition("#")[0].strip()
        if not said:
            continue
        name, equals, version = said.partition("==")
        if not equals or not version:
            raise ValueError(f"{path}: expected NAME==VERSION, found {said!r}")
        found[name.strip()] = version.strip()
    return found


def installed(names: Mapping[str, str]) -> dict[str, str]:
    """Package to the version that this interpreter has."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = MISSING
    return found


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What differs, a line each; a build's own suffix (`+cu132`) is the same version."""
    return [
        f"{name}: expected {version}, found {found.get(name, MISSING)}"
        for name, version in expected.items()
        if found.get(name, MISSING).partition("+")[0] != version.partition("+")[0]
    ]

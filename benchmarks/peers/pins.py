"""The pinned and installed versions of a peer's packages. It needs only the standard library."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = tuple(sorted(path.stem.removeprefix("requirements-") for path in HERE.glob("requirements-*.txt")))
MISSING = "not installed"


def requirements(peer: str) -> Path:
    """The file with the pinned packages of a peer."""
    return HERE / f"requirements-{peer}.txt"


def pinned(path: Path) -> dict[str, str]:
    """Package to version, from a file of requirements.

    Raises:
        ValueError: A line does not pin a version.
    """
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        name, equals, version = requirement.partition("==")
        if not equals or not version:
            raise ValueError(f"{path}: expected NAME==VERSION, found {requirement!r}")
        found[name.strip()] = version.strip()
    return found


def installed(names: Mapping[str, str]) -> dict[str, str]:
    """Package to version installed in this interpreter."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = MISSING
    return found


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Differences, one per line; a local suffix of a build (`+cu132`) does not count."""
    return [
        f"{name}: expected {version}, found {found.get(name, MISSING)}"
        for name, version in expected.items()
        if found.get(name, MISSING).partition("+")[0] != version.partition("+")[0]
    ]

"""Cache plans that were built on this machine, by what they were built from and for.

Entries are in `$FASTSAM_TRT_HOME/engines/<backend>/`. Each is a plan with its sidecar, written atomically. Damaged
entries, and those that another user owns or may change, are not loaded but built again.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from fastsam_engine.errors import FastsamError, OutputError
from fastsam_engine.plans.plan_file import Plan, read_facts, read_plan, sidecar, write_plan
from fastsam_engine.store.atomic_files import write_atomically
from fastsam_engine.store.home_folder import home

_logger = logging.getLogger(__name__)
Byproduct = Literal["timings", "kernels", "compiled"]
"""Timings of a builder, which later builds reuse; kernels that were compiled while a plan ran; graphs compiled by
OpenVINO."""
_FIX = "make it writable, set FASTSAM_TRT_HOME to another folder, or name a file with --out"
_REMOVE = "remove it, or set FASTSAM_TRT_HOME to another folder"
_ABANDONED_S = 3600.0  # an older partial file belongs to a process that was killed


@dataclass(frozen=True, slots=True)
class CachedEngine:
    """An entry of the cache.

    Attributes:
        path: The plan.
        size: Bytes, with its sidecar.
        used_s: When it was last built or loaded, seconds since the epoch.
        description: Model, backend and GPU in words, or what is wrong.
        is_valid: Whether its sidecar can be read.
    """

    path: Path
    size: int
    used_s: float
    description: str
    is_valid: bool


class EngineCache:
    """The plans in a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open a cache. No folder is made yet.

        Args:
            folder: The folder; None: `$FASTSAM_TRT_HOME/engines`.
        """
        self.folder = folder or home() / "engines"

    def path(self, backend: str, name: str, key: Mapping[str, object]) -> Path:
        """The file for a key, which may not exist.

        Args:
            backend: The backend that builds it.
            name: Of the graph; part of the file's name, for people.
            key: Everything that the plan depends on.
        """
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.folder / backend / f"{name}-{digest[:20]}.plan"

    def load(self, path: Path) -> Plan | None:
        """The plan at a path of this cache; None if it is missing, damaged, or not owned by this user."""
        try:
            if not path.exists():
                return None
            _check_private(path)
            plan = read_plan(path)
        except (FastsamError, OSError) as error:
            _logger.warning("%s: not used, will be built again: %s", path.name, error)
            return None
        try:
            os.utime(path)  # marks it as used
        except OSError as error:
            _logger.debug("%s can't be marked as used (%s)", path, error)
        return plan

    def plans(self, backend: str, name: str) -> list[Path]:
        """The plans of a graph, for all keys, most recently used first."""
        try:
            paths = list((self.folder / backend).glob(f"{glob.escape(name)}-*.plan"))
        except OSError as error:
            _logger.debug("%s can't be read (%s)", self.folder, error)
            return []
        return sorted(paths, key=lambda path: (-_used_s(path), path))

    def store(self, path: Path, plan: Plan) -> None:
        """Store a plan.

        Raises:
            OutputError: It can't be written.
        """
        self._make(path.parent)
        write_plan(path, plan)

    @contextmanager
    def building(self, path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Lock a plan while it is built. One process at a time holds the lock; a killed process releases it.

        Args:
            path: Of the plan.
            waiting: Called before waiting for another process that holds the lock.

        Raises:
            OutputError: The cache can't be written.
        """
        self._make(path.parent)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waiting()
                lock.acquire()
        except OSError as error:
            raise OutputError(path, f"the engine cache can't be written ({error.strerror or error})", _FIX) from error
        try:
            yield
        finally:
            lock.release()

    def byproduct_path(self, kind: Byproduct, backend: str, key: Mapping[str, object], name: str = "all") -> Path:
        """The file for something other than a plan, which may not exist."""
        return self.path(backend, name, key).with_suffix(f".{kind}")

    def byproduct(self, path: Path) -> bytes:
        """The by-product at a path; empty if it is missing, damaged, or not owned by this user."""
        try:
            _check_private(path)
            data = path.read_bytes()
        except (FastsamError, OSError):
            return b""
        digest, kept = data[:32], data[32:]
        if hashlib.sha256(kept).digest() != digest:
            _logger.warning("%s is cut short or was changed; it is ignored", path.name)
            return b""
        return kept

    def store_byproduct(self, path: Path, data: bytes) -> None:
        """Store something other than a plan.

        Raises:
            OutputError: It can't be written.
        """
        self._make(path.parent)
        write_atomically(path, hashlib.sha256(data).digest() + data)

    def entries(self) -> list[CachedEngine]:
        """All entries, most recently used first."""
        found = [_entry(path) for path in self.folder.glob("*/*.plan") if os.path.lexists(path)]
        found += [_other(path, "graph compiled for the CPU") for path in self.folder.glob("*/*.compiled")]
        found += [_other(path, "folder of ONNX Runtime's TensorRT provider") for path in self.folder.glob("*/*/")]
        return sorted(found, key=lambda each: -each.used_s)

    def prune(self, unused_s: float = 0.0) -> int:
        """Remove unused or damaged entries, partial files, and by-products without plans.

        Args:
            unused_s: Remove entries that were not used for so many seconds; 0: all.

        Returns:
            Bytes freed.

        Raises:
            OutputError: Something can't be removed.
        """
        now = time.time()
        gone = [each.path for each in self.entries() if not each.is_valid or now - each.used_s >= unused_s]
        files = [file for path in gone if path.is_dir() for file in path.rglob("*") if file.is_file()]
        alone = [path for path in gone if not path.is_dir()]
        files += [file for path in alone for file in (path, sidecar(path), path.with_suffix(".lock"))]
        files += [each for each in self.folder.glob("*/.*.part") if now - _used_s(each) > _ABANDONED_S]
        for folder in self.folder.glob("*/"):
            if not set(folder.glob("*.plan")) - set(gone):
                files += [*folder.glob("*.timings"), *folder.glob("*.kernels")]
        freed = 0
        for file in files:
            try:
                size = file.lstat().st_size
                file.unlink()
                freed += size
            except FileNotFoundError:
                continue
            except OSError as error:
                raise OutputError(file, f"it can't be removed ({error.strerror})", _FIX) from error
        for path in gone:
            if path.is_dir():
                try:
                    shutil.rmtree(path)
                except OSError as error:
                    raise OutputError(path, f"it can't be removed ({error.strerror})", _FIX) from error
        return freed

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(folder, f"the engine cache can't be created ({error.strerror})", _FIX) from error


def check_private_folder(folder: Path) -> None:
    """Refuse a folder of executable files, such as plans, if another user owns or may change anything in it.

    Raises:
        OutputError: Another user owns or may change something, or there is a link.
        OSError: It can't be read.
    """
    for each in (folder.parent, folder, *folder.rglob("*")):
        _check_owner(each)


def restrict_to_owner(folder: Path) -> None:
    """Remove other users' write permission from another library's files, which the process's umask may allow."""
    for each in folder.rglob("*"):
        with suppress(OSError):  # for example a temporary file that is gone
            mode = each.lstat().st_mode
            if mode & stat.S_IWOTH and not stat.S_ISLNK(mode):
                each.chmod(stat.S_IMODE(mode) & ~stat.S_IWOTH)


def _check_private(path: Path) -> None:
    """Refuse a file that another user owns or may change: its code would run with this user's rights."""
    for each in (path, path.parent):
        _check_owner(each)


def _check_owner(path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise OutputError(path, "expected an engine file, found a link", _REMOVE)
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & stat.S_IWOTH):
        found = "one of another user" if status.st_uid != os.getuid() else "one that every user can write"
        raise OutputError(path, f"expected an engine that only this user can write, found {found}", _REMOVE)


def _entry(path: Path) -> CachedEngine:
    beside = sidecar(path)
    size = 0
    try:
        size = path.stat().st_size
        if not beside.is_file():
            raise OutputError(beside, "expected a plan's sidecar, found none")
        size += beside.stat().st_size
        spec, facts = read_facts(path)
    except (FastsamError, OSError) as error:
        why = error if isinstance(error, FastsamError) else f"it can't be read ({error.strerror})"
        return CachedEngine(path, size, _used_s(path), f"broken: {why}", is_valid=False)
    what = f"{spec.name} {spec.task} {spec.precision}, {facts.backend} {facts.version}, {facts.gpu}"
    return CachedEngine(path, size, _used_s(path), what, is_valid=True)


def _used_s(path: Path) -> float:
    """When a file was last used, seconds since the epoch; 0 if another process has removed it."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _other(path: Path, what: str) -> CachedEngine:
    """An entry without a sidecar."""
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    size = 0
    for each in files:
        with suppress(OSError):  # it is gone
            size += each.stat().st_size
    return CachedEngine(path, size, _used_s(path), f"{what}, {path.parent.name}", is_valid=True)

"""Install a model as a whole folder: another process, or an interruption, sees the old one, the new one, or none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fastsam_engine.errors import OutputError
from fastsam_engine.store.home_folder import home
from fastsam_engine.store.model_store import models_folder
from fastsam_export.hub.pull_errors import AlreadyInstalledError, NoRoomError

_FIX = "set FASTSAM_TRT_HOME to a folder that can be written"
_SHARE_OF_MODEL = 2.2
"""Space for the model, relative to its download: adopted files, and what is cut from them, beside the old ones."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Where a model is downloaded, made and installed.

    Attributes:
        name: Name of the model's folder, such as `fastsam-s` or `fastsam-s-fp16`.
    """

    name: str

    @property
    def folder(self) -> Path:
        """The folder of the installed model."""
        return models_folder() / self.name

    @property
    def downloads(self) -> Path:
        """The folder for downloads of this model, which stays until it is installed."""
        return home() / "downloads" / self.name

    @property
    def staging(self) -> Path:
        """The folder in which the model is made. Its name is no model's, and it holds no graph itself."""
        return models_folder() / f".pull-{self.name}"

    @contextmanager
    def alone(self, waiting: Callable[[], None], *, overwrite: bool) -> Iterator[None]:
        """Hold the lock of this model's name, and prepare its folders; remains of an earlier pull are removed.

        Args:
            waiting: Called before waiting for another process that pulls a model of this name.
            overwrite: Whether to replace an installed model.

        Raises:
            AlreadyInstalledError: There is a model of this name.
            OutputError: The folders can't be written.
        """
        self._check_free(overwrite=overwrite)  # before anything is written
        try:
            self.downloads.mkdir(parents=True, exist_ok=True)
            self.staging.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.downloads.with_name(f"{self.name}.lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waiting()
                lock.acquire()
        except OSError as error:
            raise OutputError(self.downloads, f"it can't be written ({error.strerror or error})", _FIX) from error
        try:
            self._clean()
            self._check_free(overwrite=overwrite)  # another process may have installed it
            yield
        finally:
            self._clean()
            lock.release()

    def check_room(self, to_download: int, of_model: int) -> None:
        """Check the free space of the disk.

        Args:
            to_download: Bytes that are still to be downloaded.
            of_model: Bytes of all files of the download.

        Raises:
            NoRoomError: It is too small.
        """
        needed, free = to_download + int(_SHARE_OF_MODEL * of_model), shutil.disk_usage(self.downloads).free
        if needed > free:
            raise NoRoomError(self.downloads, needed, free)

    def install(self, made: Path) -> None:
        """Move a model's folder in place of the old one, and delete its downloads.

        Args:
            made: The folder, in `staging`.

        Raises:
            OutputError: It can't be moved; the old model stays.
        """
        old = self.staging / "old"
        try:
            if self.folder.exists():
                self.folder.replace(old)
            try:
                made.replace(self.folder)
            except OSError:
                if old.exists():
                    old.replace(self.folder)
                raise
        except OSError as error:
            raise OutputError(self.folder, f"it can't be replaced ({error.strerror})", _FIX) from error
        self.forget_downloads()

    def forget_downloads(self) -> None:
        """Delete what was downloaded of this model."""
        shutil.rmtree(self.downloads, ignore_errors=True)

    def _check_free(self, *, overwrite: bool) -> None:
        if not overwrite and self.folder.exists():
            raise AlreadyInstalledError(self.name, self.folder)

    def _clean(self) -> None:
        """Bring back the model that a process was replacing when it was killed, and delete its other remains."""
        old = self.staging / "old"
        if old.is_dir() and not self.folder.exists():
            old.replace(self.folder)
        shutil.rmtree(self.staging, ignore_errors=True)

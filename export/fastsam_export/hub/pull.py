"""Pull a model: download ready ONNX files, adopt them, and install the result."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, get_args
from urllib.parse import urlsplit

from fastsam_engine.errors import ModelFileError, PackagesMissingError
from fastsam_engine.packages import version
from fastsam_engine.store.ready_models import READY_MODELS
from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.adopt.hub_files import AdoptedPrecision, wanted_files
from fastsam_export.errors import AdoptionError, ParityError
from fastsam_export.family import Exported
from fastsam_export.hub.download import Download
from fastsam_export.hub.hub_cache import cache_folder, cached_repository, is_offline, take_from_cache
from fastsam_export.hub.model_folder import ModelFolder
from fastsam_export.hub.pull_errors import OfflineError, PullInterruptedError, PullRequestError
from fastsam_export.hub.reference import Reference, parse_reference, public_address
from fastsam_export.hub.repository import RemoteFile, Repository, list_repository
from fastsam_export.hub.web_client import Wanted, WebClient

PullProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes that are there, and with those of all files of the model, or None while that is unknown."""

_PACKAGES = ("huggingface_hub", "onnx")


@dataclass(frozen=True, slots=True)
class Pulled:
    """An installed model.

    Attributes:
        name: Name of the model, as `run --model` takes it.
        folder: Its folder.
        files: Its files, each with its spec.
        source: Where it comes from.
        downloaded: Bytes that were transferred; files that were there already do not count.
        download_s: Seconds for the list of files and the download.
        adopt_s: Seconds for adopting the files: their specs, their check, and their installation.
    """

    name: str
    folder: Path
    files: tuple[Exported, ...]
    source: AdoptedFrom
    downloaded: int
    download_s: float
    adopt_s: float


def pull_model(
    model: str,
    *,
    precision: AdoptedPrecision = "fp32",
    revision: str | None = None,
    name: str | None = None,
    overwrite: bool = False,
    step: Callable[[str], None] = lambda _: None,
    progress: PullProgress = lambda _there, _all: None,
) -> Pulled:
    """Download a ready ONNX model from a public hub or a web address, prove it, and install it. This needs no PyTorch.

    Files are kept in `$FASTSAM_TRT_HOME/downloads` until the model is installed, so that a later call goes on with
    them. Files that are in the cache of huggingface_hub are taken from there.

    Args:
        model: A name of `fastsam_engine.store.ready_models`, `org/repo`, `org/repo:file.onnx`, or the http(s) address
            of an ONNX file.
        precision: Which of the repository's siblings to take: `model.onnx`, `model_fp16.onnx` or
            `model_quantized.onnx`.
        revision: Commit, tag or branch of the repository; None: that of the list, or `main`.
        name: Short name for the installed model; None: the known name, or that of the file or repository. The suffix
            `-fp16` or `-int8` is added for these precisions.
        overwrite: Whether to replace an installed model.
        step: Called with a short description when a step begins.
        progress: Called as bytes arrive.

    Raises:
        PullRequestError, NotOnnxError: It names nothing that can be pulled.
        PackagesMissingError: The extra [hub] is not installed.
        AlreadyInstalledError: There is a model of that name.
        HubSettingsError: An environment variable has a value that can't be used.
        NotOnHubError, GatedModelError, TokenRefusedError, OfflineError: The hub does not give it.
        HubUnreachableError, HubAnswerError, DownloadError: The network failed, or content is not what the hub states.
        NoRoomError, OutputError: It can't be stored.
        AdoptionError, ModelFileError, ParityError: The files can't be adopted; see `adopt`.
    """
    if precision not in get_args(AdoptedPrecision):
        raise PullRequestError(f"expected precision {' or '.join(get_args(AdoptedPrecision))}, found {precision!r}")
    reference = parse_reference(model, revision=revision, name=name, hubs=_own_hub())
    ready = READY_MODELS.get(model.lower())
    if precision != "fp32" and ready and (ready.address or ready.file):
        raise PullRequestError(
            f"--precision: expected fp32, since the public file of {ready.name} is in fp32, found {precision!r}; make "
            f"it with: fastsam-trt export {ready.name} --precision {precision}"
        )
    if missing := [package for package in _PACKAGES if not version(package)]:
        raise PackagesMissingError(missing, "cpu,hub")
    target = ModelFolder(reference.name if precision == "fp32" else f"{reference.name}-{precision}")
    with target.alone(lambda: step("waiting for another pull of it"), overwrite=overwrite):
        begun_s = time.perf_counter()
        found = _find(reference, precision, step)
        try:
            downloaded = _fetch(found, target, step, progress)
        except KeyboardInterrupt as interrupt:
            raise PullInterruptedError from interrupt
        fetched_s = time.perf_counter()
        files = _adopt(found, target, reference.name, precision, step)
        return Pulled(
            target.name,
            target.folder,
            files,
            found.source,
            downloaded,
            fetched_s - begun_s,
            time.perf_counter() - fetched_s,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """What is to be downloaded.

    Attributes:
        repository: Its repository; None for a file that is in none.
        files: To download, the graphs first.
        source: For the specs.
        key: Names this version of the files.
    """

    repository: Repository | None
    files: tuple[RemoteFile, ...]
    source: AdoptedFrom
    key: str

    def shown(self, file: RemoteFile) -> str:
        """One of the files, for messages."""
        return f"{self.source.repository}:{file.path}" if self.source.repository else self.source.address


def _own_hub() -> Iterable[str]:
    """The host name of `HF_ENDPOINT`."""
    try:
        host = urlsplit(os.environ.get("HF_ENDPOINT", "")).hostname
    except ValueError:
        return ()
    return (host,) if host else ()


def _find(reference: Reference, precision: AdoptedPrecision, step: Callable[[str], None]) -> _Found:
    """Ask the hub, or its cache, which files there are, and choose those that are needed."""
    if not reference.repository:
        if is_offline():
            raise OfflineError(reference.shown, None)
        address = public_address(reference.address)
        remote = RemoteFile(address.rpartition("/")[2], reference.address)
        key = hashlib.sha256(reference.address.encode()).hexdigest()[:16]
        return _Found(None, (remote,), AdoptedFrom("", "", remote.path, address), key)
    if is_offline():
        repository = cached_repository(reference.repository, reference.revision)
    else:
        step("requesting the list of files")
        repository = list_repository(WebClient(), reference.repository, reference.revision)
    try:
        paths = wanted_files(repository.files, precision, reference.file)
    except AdoptionError as error:
        if is_offline():  # the repository may have more files than the cache
            raise OfflineError(f"{reference.shown} in {precision}", cache_folder()) from error
        raise
    page = f"{repository.page}/blob/{repository.commit}/{paths[0]}"
    source = AdoptedFrom(repository.id, repository.commit, paths[0], page, repository.licence)
    return _Found(repository, tuple(repository.files[path] for path in paths), source, repository.commit)


def _fetch(found: _Found, target: ModelFolder, step: Callable[[str], None], progress: PullProgress) -> int:
    """Bring all files to the folder of downloads; the bytes that were transferred."""
    sizes = [file.size for file in found.files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    folder = target.downloads / found.key
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    target.check_room(max((total or 0) - there, 0), total or 0)
    before = transferred = 0
    for file in found.files:
        path = folder.joinpath(*file.path.split("/"))
        if found.repository is None or not take_from_cache(found.repository, file, path):
            step(f"downloading {file.path}")
            wanted = Wanted(found.shown(file), found.source.repository, found.source.revision)
            download = Download(WebClient(), file, wanted, path)
            download.run(lambda count, so_far=before: progress(so_far + count, total))  # type: ignore[misc]
            transferred += download.transferred
        before += path.stat().st_size
        progress(before, total)
    return transferred


def _adopt(
    found: _Found, target: ModelFolder, name: str, precision: AdoptedPrecision, step: Callable[[str], None]
) -> tuple[Exported, ...]:
    """Make the model beside the installed ones, and install it."""
    from fastsam_export.adopt.adopter import adopt

    made = target.staging / target.name
    made.mkdir(parents=True)
    folder = target.downloads / found.key
    try:
        files = adopt(folder, name=name, out=made, precision=precision, source=found.source, step=step)
    except (AdoptionError, ModelFileError, ParityError):
        target.forget_downloads()  # the same files would be refused again
        raise
    step("installing the files")
    target.install(made)
    return tuple(dataclasses.replace(file, path=target.folder / file.path.relative_to(made)) for file in files)

"""Parse a request to pull: a known name, a hub's repository or a file in it, or a web address."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from fastsam_engine.errors import brief
from fastsam_engine.store.catalog import CATALOG
from fastsam_engine.store.ready_models import READY_MODELS
from fastsam_export.hub.pull_errors import NotOnnxError, PullRequestError

_HUBS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_PAGE = re.compile(r"/(?P<repository>[^/]+/[^/]+)(?:/(?:resolve|blob|raw|tree)/(?P<revision>[^/]+)(?:/(?P<file>.+))?)?")
_REVISION = re.compile(r"[\w.-]+(?:/[\w.-]+)*")
_SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_CHECKPOINTS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".safetensors")
_FORMS = "a known name, ORG/REPO, ORG/REPO:FILE.onnx, or the web address of an ONNX file"


@dataclass(frozen=True, slots=True)
class Reference:
    """What to pull.

    Attributes:
        name: Short name for the installed model, without the suffix of a precision.
        repository: Hub id (`org/repo`); empty for a file elsewhere.
        revision: Commit, tag or branch of the repository.
        file: One ONNX file of the repository; empty: as its layout has them.
        address: Web address of an ONNX file that is in no repository; otherwise empty.
    """

    name: str
    repository: str = ""
    revision: str = "main"
    file: str = ""
    address: str = ""

    @property
    def shown(self) -> str:
        """For messages: the repository and file, or the address without what may be secret in it."""
        return f"{self.repository}{':' * bool(self.file)}{self.file}" or public_address(self.address)


def parse_reference(
    text: str, *, revision: str | None = None, name: str | None = None, hubs: Iterable[str] = ()
) -> Reference:
    """Parse what to pull.

    Args:
        text: A name of `READY_MODELS`, `org/repo`, `org/repo:file.onnx`, or an address (http or https). The address of
            a page or file of a hub is that repository or file.
        revision: Commit, tag or branch of the repository; None: as the address or the list says, or `main`.
        name: Short name for the installed model; None: that of the list, the repository or the file.
        hubs: Host names that are hubs, beside the public one.

    Raises:
        PullRequestError: It is none of them, or an option does not fit it.
        NotOnnxError: It names a file of another kind.
    """
    if text.startswith(("http://", "https://")):
        found = _of_address(text, {*_HUBS, *hubs})
    elif "/" in text or ":" in text:
        found = _of_repository(text)
    else:
        found = _of_name(text)
    if revision is not None and not found.repository:
        raise PullRequestError(f"--revision: expected a repository of a hub, found {brief(found.shown)!r}")
    wanted = found.revision if revision is None else revision
    if ".." in wanted or not _REVISION.fullmatch(wanted):
        raise PullRequestError(f"revision: expected a commit, a tag or a branch, found {brief(wanted)!r}")
    if name is not None and not _SHORT_NAME.fullmatch(name.lower()):
        raise PullRequestError(
            f"--as: expected a name of letters, digits, - and _ (at most 100), found {brief(name)!r}"
        )
    return Reference(found.name if name is None else name.lower(), found.repository, wanted, found.file, found.address)


def public_address(address: str) -> str:
    """An address without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return re.split(r"[?#]", address)[0].rpartition("@")[2]
    return urlunsplit(SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _of_name(text: str) -> Reference:
    lower = text.lower()
    if ready := READY_MODELS.get(lower):
        return Reference(ready.name, ready.repository, ready.revision, ready.file, ready.address)
    if lower in CATALOG:
        raise PullRequestError(
            f"{lower}: expected a model that a public hub has as ONNX, found none known; create it with: fastsam-trt "
            f"export {lower}, or name a repository that has it: fastsam-trt pull ORG/REPO:FILE.onnx --as {lower}"
        )
    if Path(text).suffix:
        _check_suffix(text)
        raise PullRequestError(
            f"expected {_FORMS}, found the file name {brief(text)!r}; a local ONNX file runs as it is: fastsam-trt run "
            f"--model {brief(text)}"
        )
    near = difflib.get_close_matches(lower, READY_MODELS, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "see the names with: fastsam-trt pull --help"
    raise PullRequestError(f"expected {_FORMS}, found {brief(text)!r}; {hint}")


def _of_repository(text: str) -> Reference:
    repository, colon, file = text.partition(":")
    if ".." in repository or not _REPOSITORY.fullmatch(repository):
        raise PullRequestError(f"expected {_FORMS}, found {brief(text)!r}")
    if not colon:
        return Reference(_short_name(repository), repository)
    _check_file(file)
    return Reference(_short_name(file), repository, file=file)


def _of_address(text: str, hubs: set[str]) -> Reference:
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
        _ = parts.port
    except ValueError as error:
        raise PullRequestError(f"expected {_FORMS}, found {brief(text)!r} ({error})") from error
    path = unquote(parts.path)
    page = _PAGE.fullmatch(parts.path.rstrip("/"))
    if host in hubs and page and (page["revision"] or not page["repository"].lower().endswith(".onnx")):
        repository, revision, file = (unquote(page[group] or "") for group in ("repository", "revision", "file"))
        found = _of_repository(f"{repository}:{file}" if file else repository)
        return Reference(found.name, repository, revision or "main", file)
    if not host:
        raise PullRequestError(f"expected {_FORMS}, found {brief(text)!r}")
    _check_suffix(path)
    if PurePosixPath(path).suffix.lower() != ".onnx":
        fix = "give the address of the file itself, or ORG/REPO:FILE.onnx for a hub"
        raise NotOnnxError(public_address(text), "an address that does not end in .onnx", fix)
    return Reference(_short_name(path), address=text)


def _check_file(file: str) -> None:
    """Check the path of a file in a repository."""
    _check_suffix(file)
    path = PurePosixPath(file)
    if path.is_absolute() or {".", ".."} & set(file.split("/")) or "\\" in file or not file.isprintable():
        raise PullRequestError(f"expected the path of a file in the repository, found {brief(file)!r}")
    if path.suffix != ".onnx":
        raise NotOnnxError(brief(file), f"a name that ends in {path.suffix or 'no suffix'}", "name a file .onnx")


def _check_suffix(path: str) -> None:
    """Refuse checkpoints, which may execute code when they are read."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _CHECKPOINTS:
        fix = f"export it, which needs PyTorch: fastsam-trt export NAME --weights {brief(PurePosixPath(path).name)}"
        raise NotOnnxError(brief(PurePosixPath(path).name), f"a checkpoint ({suffix})", fix)


def _short_name(path: str) -> str:
    """A short name after the last part of a path: `onnx-community/Siglip2.base-ONNX` is `siglip2-base`."""
    last = path.rpartition("/")[2].lower().removesuffix(".onnx").removesuffix("-onnx")
    return re.sub(r"[^a-z0-9_-]+", "-", last).strip("-_")[:100] or "model"

"""Check a downloaded file: its kind by its first bytes, its size, and its hash."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastsam_export.hub.pull_errors import DownloadError, NotOnnxError
from fastsam_export.hub.repository import RemoteFile

FIRST_BYTES = 64
"""How much of a file tells its kind."""

_KINDS = {
    b"PK\x03\x04": "an archive, such as a PyTorch checkpoint",
    b"\x80": "a pickle, which may execute code when it is read",
    b"\x89HDF": "an HDF5 file",
    b"GGUF": "a GGUF file",
    b"\x1f\x8b": "a gzip file",
    b"version https://git-lfs": "a Git LFS pointer instead of the file",
    b"<": "a web page or XML",
    b"{": "JSON",
}
_EXPORT = (
    "look for an ONNX export of the model, or export it from PyTorch: fastsam-trt export NAME --weights PATH_OR_ID"
)
_DAMAGED = "it was damaged on its way or on its server, and is deleted: try again, or choose another --revision"


@dataclass(frozen=True, slots=True)
class StatedHash:
    """A hash that a server states for a whole file.

    Attributes:
        algorithm: `sha256`, `md5`, or `git` (the id of a git blob, a SHA-1).
        digest: Hexadecimal digits.
    """

    algorithm: str
    digest: str


def hash_of_hub(remote: RemoteFile) -> StatedHash | None:
    """The hash that a hub's list of files states; None: it states none."""
    if remote.sha256:
        return StatedHash("sha256", remote.sha256)
    return StatedHash("git", remote.git_sha1) if remote.git_sha1 else None


def hash_of_headers(headers: Mapping[str, str], *, is_whole: bool) -> StatedHash | None:
    """The hash that a response states for the whole file: `Repr-Digest` (RFC 9530), or the MD5 of storage servers.

    Args:
        headers: Of the response.
        is_whole: Whether its body is the whole file, so that `Content-MD5` is that of the file.
    """
    for entry in headers.get("Repr-Digest", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name.lower() == "sha-256" and (digest := _hexadecimal(value.strip(":"), 32)):
            return StatedHash("sha256", digest)
    md5 = headers.get("x-ms-blob-content-md5", "") or (headers.get("Content-MD5", "") if is_whole else "")
    return StatedHash("md5", digest) if (digest := _hexadecimal(md5, 16)) else None


def check_kind(remote: RemoteFile, first: bytes) -> None:
    """Refuse a file .onnx whose first bytes are those of another kind.

    Raises:
        NotOnnxError: They are.
    """
    if not remote.path.lower().endswith(".onnx"):
        return
    for begin, kind in _KINDS.items():
        if first.lstrip()[: len(begin)] == begin:
            raise NotOnnxError(remote.path, kind, _EXPORT)


def check_content(remote: RemoteFile, path: Path, stated: StatedHash | None) -> None:
    """Compare a whole file with the size and hash that its server states.

    Raises:
        DownloadError: They differ.
    """
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        raise DownloadError(remote.path, f"{remote.size} bytes", f"{size}", _DAMAGED)
    if stated is not None and (found := _digest(path, stated.algorithm)) != stated.digest:
        raise DownloadError(remote.path, f"{stated.algorithm} {stated.digest[:16]}...", f"{found[:16]}...", _DAMAGED)


def _digest(path: Path, algorithm: str) -> str:
    if algorithm == "git":
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _hexadecimal(text: str, length: int) -> str:
    """Base64 as hexadecimal digits; empty if it is not base64 of `length` bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return data.hex() if len(data) == length else ""

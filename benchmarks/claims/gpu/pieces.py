"""Split the files for `main.py` into pieces of limited size, the most important first, and join them again.

    python benchmarks/claims/gpu/pieces.py split MODELS PIECES --piece-mib 50
    python benchmarks/claims/gpu/pieces.py join PIECES MODELS

Each group of files is a tar file, split into pieces; `cat PIECES/1-core.tar.* | tar x -C MODELS` also joins them.
`manifest.json` lists the pieces in order, with their sizes and hashes. Groups with missing pieces are reported and left
out. The same files always give the same pieces.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = "manifest.json"
_MEBIBYTE = 1 << 20
_READ = 1 << 20


class PiecesError(Exception):
    """Files that can't be split, or pieces that can't be joined."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are used together.

    Attributes:
        name: Name of its pieces.
        use: What the files make possible.
        patterns: Glob patterns of the files; files of an earlier group are skipped.
    """

    name: str
    use: str
    patterns: tuple[str, ...]


GROUPS = (
    Group(
        "core",
        "frame, references, YOLOv8n-seg, small models of the other families, CLIP without its weights, small packages",
        (
            "frame.png", "operations.json", "reference-*.npz", "yolov8n-seg/*", "yolov8n-seg-fp16/*",
            "yolov8n-seg.pt", "small-*/*", "clip-hollow/*/*",
            "wheels/platformdirs-*.whl", "wheels/ultralytics*.whl", "wheels/filelock-*.whl",
        ),
    ),
    Group("onnxruntime", "ONNX Runtime's CUDA provider", ("wheels/onnxruntime_gpu-*.whl",)),
    Group(
        "more", "YOLO26n-seg; YOLOv8n-seg for PyTorch without ultralytics",
        ("yolo26n-seg/*", "yolo26n-seg-fp16/*", "yolov8n-seg.*.torchscript"),
    ),
    Group("fastsam-s", "FastSAM-s shape, its times", ("fastsam-s-fp16/*", "fastsam-s/*", "fastsam-s.*")),
    Group("others", "other packages", ("wheels/*.whl",)),
)  # fmt: skip
"""The most important group first. CLIP goes without its 600 MB of weights, which the GPU machine seeds again."""


def split(folder: Path, to: Path, piece_bytes: int, groups: Sequence[Group] = GROUPS) -> list[dict[str, Any]]:
    """Split the files of a folder into pieces.

    Args:
        folder: Folder of the files.
        to: Folder for the pieces; pieces of an earlier call are removed.
        piece_bytes: Largest size of a piece.
        groups: Groups of files.

    Returns:
        The entries of the manifest, one per piece: `file`, `group`, `use`, `bytes`, `sha256`.

    Raises:
        PiecesError: There are no files, or the size of a piece is too small.
    """
    if piece_bytes < _READ:
        raise PiecesError(f"expected pieces of 1 MiB or more, found {piece_bytes} bytes")
    to.mkdir(parents=True, exist_ok=True)
    for old in (*to.glob("[0-9]*.tar.[0-9]*"), to / MANIFEST):
        old.unlink(missing_ok=True)
    taken: set[Path] = set()
    entries: list[dict[str, Any]] = []
    for number, group in enumerate(groups, 1):
        files = [path for pattern in group.patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
        files = [path for path in dict.fromkeys(files) if path not in taken]
        taken.update(files)
        if files:
            names = _cut(folder, files, to, f"{number}-{group.name}.tar", piece_bytes)
            entries += [{"group": group.name, "use": group.use, **entry} for entry in names]
    if not entries:
        raise PiecesError(f"expected models in {folder}, found none of {', '.join(each.name for each in groups)}")
    (to / MANIFEST).write_text(json.dumps({"pieces": entries}, indent=1) + "\n")
    return entries


def join(pieces: Path, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Join the groups whose pieces are complete and intact.

    Args:
        pieces: Folder of the pieces and their manifest.
        folder: Folder for the files.

    Returns:
        The names of the joined groups; and the reason for each group that was not joined.

    Raises:
        PiecesError: There is no manifest, or it can't be read.
    """
    try:
        entries: list[dict[str, Any]] = json.loads((pieces / MANIFEST).read_text())["pieces"]
        by_group: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            by_group.setdefault(entry["group"], []).append(entry)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PiecesError(f"expected {pieces / MANIFEST} as split wrote it, found otherwise ({error})") from error
    whole, lacking = list[str](), dict[str, str]()
    for name, parts in by_group.items():
        if why := _wrong(pieces, parts):
            lacking[name] = why
            continue
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(
            fileobj=_Chained([pieces / part["file"] for part in parts]), mode="r|", bufsize=_READ
        ) as archive:
            archive.extractall(folder, filter="data")
        whole.append(name)
    return whole, lacking


def main() -> int:
    """Split or join; returns 1 if a group is incomplete, 2 if nothing can be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    cutting, joining = verbs.add_parser("split"), verbs.add_parser("join")
    for each, names in ((cutting, ("folder", "pieces")), (joining, ("pieces", "folder"))):
        for name in names:
            each.add_argument(name, type=Path)
    cutting.add_argument("--piece-mib", type=int, default=50, metavar="N", help="largest piece, MiB (50)")
    args = parser.parse_args()
    try:
        if args.verb == "split":
            for entry in split(args.folder, args.pieces, args.piece_mib * _MEBIBYTE):
                print(f"{entry['file']:24} {entry['bytes'] / _MEBIBYTE:7.1f} MiB  {entry['use']}")
            return 0
        whole, lacking = join(args.pieces, args.folder)
    except (PiecesError, OSError, tarfile.TarError) as error:
        print(f"carry.py: error: {error}", file=sys.stderr)
        return 2
    print(f"whole: {', '.join(whole) or 'none'}")
    for name, why in lacking.items():
        print(f"left out: {name}: {why}")
    return int(bool(lacking))


def _cut(folder: Path, files: Iterable[Path], to: Path, name: str, piece_bytes: int) -> Iterator[Mapping[str, Any]]:
    """Write files as a tar file in pieces."""
    pieces = _Pieces(to, name, piece_bytes)
    with tarfile.open(fileobj=pieces, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for path in files:
            archive.add(path, str(path.relative_to(folder)), recursive=False, filter=_plain)
    pieces.close()
    for path in pieces.written:
        yield {"file": path.name, "bytes": path.stat().st_size, "sha256": _sha256(path)}


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner and the time of a file."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _wrong(pieces: Path, parts: Iterable[Mapping[str, Any]]) -> str:
    """Why pieces can't be joined; empty if they can."""
    for part in parts:
        path = pieces / Path(part["file"]).name
        if not path.is_file():
            return f"{path.name} is missing"
        if _sha256(path) != part["sha256"]:
            return f"{path.name} is damaged"
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Pieces:
    """A writable stream that is split into files of limited size."""

    def __init__(self, folder: Path, name: str, piece_bytes: int) -> None:
        self._folder, self._name, self._piece_bytes = folder, name, piece_bytes
        self.written: list[Path] = []
        self._file: IO[bytes] | None = None
        self._room = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            if self._file is None or not self._room:
                self.close()
                self.written.append(self._folder / f"{self._name}.{len(self.written):02}")
                self._file, self._room = self.written[-1].open("wb"), self._piece_bytes
            self._file.write(view[: self._room])
            done = min(self._room, len(view))
            view, self._room = view[done:], self._room - done
        return len(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Chained:
    """A readable stream of several files, one after the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._blocks = self._read(paths)
        self._left = b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (block := next(self._blocks, b"")):
            self._left += block
        found, self._left = self._left[:size], self._left[size:]
        return found

    @staticmethod
    def _read(paths: Sequence[Path]) -> Iterator[bytes]:
        for path in paths:
            with path.open("rb") as file:
                while block := file.read(_READ):
                    yield block


if __name__ == "__main__":
    sys.exit(main())

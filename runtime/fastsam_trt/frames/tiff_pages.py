"""Find the pages of a TIFF (TIFF 6.0 and BigTIFF) without decoding them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAX_PAGES = 100_000
"""Most pages of one file. Memory does not grow with them; the limit stops at endless lists."""

_NEW_SUBFILE, _OLD_SUBFILE = 254, 255
_REDUCED, _MASK = 1, 4  # bits of the new tag
_OLD_REDUCED = 2
_BITS, _SAMPLE_FORMAT = 258, 339
_SAMPLES = {1: "uint", 2: "int", 3: "float"}


@dataclass(frozen=True, slots=True)
class TiffPages:
    """Positions of the pages of a TIFF.

    Attributes:
        numbers: Indices of the pages in the file's list of images, from 0. Thumbnails, reduced copies and masks are
            excluded.
        offsets: Offsets of their directories, bytes.
        whole: Whether the list of pages is complete.
        pointer: `struct` format and offset of the pointer to the first directory.
    """

    numbers: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()
    whole: bool = True
    pointer: tuple[str, int] = ("<I", 4)

    def begin_with(self, page: int, data: NDArray[Any]) -> None:
        """Make a page the first one of the file.

        Args:
            page: Index of the page, from 0.
            data: (n,) uint8, the file; its header is modified.
        """
        form, at = self.pointer
        data[at : at + struct.calcsize(form)] = np.frombuffer(struct.pack(form, self.offsets[page]), np.uint8)

    def read_depth(self, file: BinaryIO) -> str:
        """Type of the channels of the first page, such as `uint8` or `float32`; empty if it is not declared."""
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        file.seek(0)
        directory = ImageFileDirectory_v2(file.read(16 if self.pointer[0].endswith("Q") else 8))
        file.seek(self.offsets[0])
        directory.load(file)
        kind = _SAMPLES.get(directory.get(_SAMPLE_FORMAT, (1,))[0])
        bits = directory.get(_BITS)
        return f"{kind}{bits[0]}" if kind and bits else ""


def find_pages(file: BinaryIO) -> TiffPages:
    """Walk the list of images in a TIFF.

    Raises:
        ValueError: It has no page, or more than `MAX_PAGES`.
        struct.error: Its header is truncated.
    """
    file.seek(0)
    head = file.read(16)
    order = "<" if head.startswith(b"II") else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    pointer, count_form, entry_b, start = (
        (f"{order}Q", f"{order}Q", 20, 8) if big else (f"{order}I", f"{order}H", 12, 4)
    )
    (at,) = struct.unpack_from(pointer, head, start)
    numbers: list[int] = []
    offsets: list[int] = []
    seen: set[int] = set()
    whole = True
    while at:
        try:
            if at in seen:
                raise ValueError("a list of pages that refers to itself")  # noqa: TRY301 - the list ends here
            entries, next_at = _read_directory(file, at, (count_form, entry_b, pointer))
        except (struct.error, ValueError):
            whole = False
            break
        if not _is_part(entries, order, entry_b):
            numbers.append(len(seen))
            offsets.append(at)
        seen.add(at)
        if len(offsets) > MAX_PAGES:
            raise ValueError(f"expected at most {MAX_PAGES} pages, found more; split it")
        at = next_at
    if not offsets:
        raise ValueError("no page, only reduced copies" if seen else "no page")
    return TiffPages(tuple(numbers), tuple(offsets), whole, (pointer, start))


def _read_directory(file: BinaryIO, at: int, layout: tuple[str, int, str]) -> tuple[bytes, int]:
    """The entries of a directory, and the offset of the next one."""
    count_form, entry_b, pointer = layout
    file.seek(at)
    (count,) = struct.unpack(count_form, file.read(struct.calcsize(count_form)))
    if count > 0xFFFF:
        raise ValueError(f"a directory of {count} entries")
    entries = file.read(count * entry_b)
    (next_at,) = struct.unpack(pointer, file.read(struct.calcsize(pointer)))
    return entries, int(next_at)


def _is_part(entries: bytes, order: str, entry_b: int) -> bool:
    """Whether an image is no page but a thumbnail, a reduced copy or a mask of another."""
    value_at = entry_b - (8 if entry_b == 20 else 4)
    for at in range(0, len(entries), entry_b):
        tag, kind = struct.unpack_from(f"{order}HH", entries, at)
        if tag > _OLD_SUBFILE:
            return False
        if tag in {_NEW_SUBFILE, _OLD_SUBFILE}:
            (value,) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", entries, at + value_at)
            return bool(value & (_REDUCED | _MASK)) if tag == _NEW_SUBFILE else value == _OLD_REDUCED
    return False

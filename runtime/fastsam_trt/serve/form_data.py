"""Parse `multipart/form-data` (RFC 7578) from a body that is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from fastsam_trt.serve.problem import ProblemError

_MOST_PARTS = 4096
_LONGEST_HEAD = 4096  # bytes


@dataclass(frozen=True, slots=True)
class FormPart:
    """A part of a form.

    Attributes:
        name: Name of its field.
        content: Its bytes, a view of the body.
    """

    name: str
    content: memoryview

    def text(self) -> str:
        """Its content as text.

        Raises:
            ProblemError: It is not UTF-8.
        """
        try:
            return str(self.content, "utf-8")
        except UnicodeDecodeError as error:
            raise ProblemError(400, f"{self.name}: expected text in UTF-8, found other bytes") from error


def form_boundary(content_type: str) -> bytes:
    """The boundary of a `Content-Type` header.

    Raises:
        ProblemError: It has none of 1 to 70 characters.
    """
    boundary = _parameter(content_type, "content-type", "boundary")
    encoded = (boundary or "").encode("ascii", "replace")
    if not 1 <= len(encoded) <= 70 or b"?" in encoded:
        raise ProblemError(400, "Content-Type: expected a boundary of 1 to 70 characters, found none")
    return encoded


def parse_form(body: bytes, boundary: bytes) -> list[FormPart]:
    """Parse the body of a form.

    Args:
        body: All of it.
        boundary: See `form_boundary`.

    Raises:
        ProblemError: It is cut off, or not a form (400).
    """
    parts = list(_parts(body, boundary))
    if not parts:
        raise ProblemError(400, "form: expected at least the part image, found no part")
    return parts


def _parts(body: bytes, boundary: bytes) -> Iterator[FormPart]:
    view = memoryview(body)
    mark, delimiter = b"--" + boundary, b"\r\n--" + boundary
    if not body.startswith(mark):
        start = body.find(delimiter)
        if start < 0:
            raise ProblemError(400, "form: expected the boundary of the header Content-Type, found none in the body")
        at = start + len(delimiter)
    else:
        at = len(mark)
    for _ in range(_MOST_PARTS):
        line_end = body.find(b"\r\n", at, at + 100)
        if body.startswith(b"--", at):
            return
        if line_end < 0 or body[at:line_end].strip(b" \t"):
            raise ProblemError(400, "form: expected a line break after a boundary, found something else")
        head_end = body.find(b"\r\n\r\n", line_end, line_end + _LONGEST_HEAD)
        end = body.find(delimiter, max(head_end, line_end))
        if head_end < 0 or end < 0:
            raise ProblemError(400, "form: expected a boundary at its end, found that it is cut off")
        yield _part(body[line_end + 2 : head_end], view[min(head_end + 4, end) : end])
        at = end + len(delimiter)
    raise ProblemError(400, f"form: expected at most {_MOST_PARTS} parts, found more")


def _part(head: bytes, content: memoryview) -> FormPart:
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    field = _parameter(disposition, "content-disposition", "name")
    if not disposition.lower().startswith("form-data") or not field:
        raise ProblemError(400, "form: expected parts with a Content-Disposition that names a field, found one without")
    encoding = headers.get("content-transfer-encoding", "binary").lower()
    if encoding not in ("binary", "7bit", "8bit"):
        found = f"Content-Transfer-Encoding {encoding[:40]}"
        raise ProblemError(400, f"{field[:40]}: expected its bytes as they are, found {found}")
    return FormPart(field, content)


def _parameter(value: str, header: str, name: str) -> str | None:
    """A parameter of a header; None if it has none."""
    message = Message()
    try:
        message[header] = value
        found = message.get_param(name, header=header)
    except (ValueError, IndexError):  # line breaks, or parameters that can't be parsed
        return None
    return found if isinstance(found, str) else None

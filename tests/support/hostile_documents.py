"""Make hostile JSON documents: seeded changes of valid ones."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

_DEEP = 5000
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**9, 10**400, -(10**400), 0.5, -1e308, 1e-320, "", "x", "x" * 1_000_000, "\ud800",
    "\x1b[2J\n\u2028", "../../elsewhere", "4++2", "²", "0" * 5000, "9" * 5000, "N " * 1000, [], {}, [[]], [{}], [None],
    {"": {}}, {"kind": []}, {"kind": "image"}, list(range(2000)), ["a"] * 2000, {str(i): i for i in range(2000)},
)  # fmt: skip


def mutated(document: Any, count: int, seed: int = 0) -> Iterator[bytes]:
    """JSON documents as bytes, each a valid one with one to three changes."""
    draw = random.Random(seed)
    for _ in range(count):
        changed = copy.deepcopy(document)
        for _ in range(draw.randint(1, 3)):
            changed = _change(changed, draw)
        data = json.dumps(changed).encode()
        if draw.random() < 0.3:
            data = _spoil(data, draw)
        yield data


def texts() -> Iterator[bytes]:
    """Bytes that are hostile in any context."""
    yield from (b"", b"\x00", b"\xff\xfe", b"{", b"null", b"[]", b"{}", b"1" * 5000, b"1e999", b"NaN", b'"\\ud800"')
    yield b"[" * 100_000
    yield b'{"a":' * 100_000
    yield b"[" * _DEEP + b"]" * _DEEP
    yield b"(" * 100_000
    yield b"-" * 50_000 + b"1"
    yield b"{[]: 1}"
    yield b"{" + b'"a": 1, ' * 100_000 + b'"a": 1}'
    yield b'{"schema_version": ' + b"1" * 5000 + b"}"
    yield b'{"schema_version": "' + b"x" * 3_000_000 + b'"}'
    yield b'{"schema_version": 1, "plan": {"sha256": "a"}, "' + b"y" * 1_000_000 + b'": Infinity}'
    yield b'"' + b"z" * 17_000_000 + b'"'


def _change(document: Any, draw: random.Random) -> Any:
    paths = list(_paths(document))
    path = draw.choice(paths)
    if not path:
        return copy.deepcopy(draw.choice(VALUES))
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    kind = draw.random()
    if kind < 0.15:
        del holder[path[-1]]
    elif kind < 0.25 and isinstance(holder, dict):
        holder[draw.choice(["kind", "names", "extra" * 200, "\ud800", ""])] = copy.deepcopy(draw.choice(VALUES))
    elif kind < 0.35 and isinstance(holder, list):
        holder.append(copy.deepcopy(draw.choice(VALUES)))
    else:
        holder[path[-1]] = copy.deepcopy(draw.choice(VALUES))
    return document


def _paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    steps = (
        document.keys() if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    )
    if len(path) < 4:
        for step in list(steps)[:50]:
            yield from _paths(document[step], (*path, step))


def _spoil(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    how = draw.randrange(5)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
    if how == 2:
        return data.replace(b"1", b"1e400", 1)
    if how == 3:
        return data.replace(b"null", b"NaN", 1).replace(b"0", b"-Infinity", 1)
    return data.replace(b"{", b'{"name": "a", "name": "b", ', 1)

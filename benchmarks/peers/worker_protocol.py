"""The line protocol of a worker. It runs in the environment of the peer and needs only numpy.

Requests and replies are JSON objects, one per line. The worker starts with `{"protocol": 1, "versions": {...}}`. Then
each request gets one reply, `{"error": "..."}` if it failed:

    {"do": "open", ...}                          {"note": "..."}   load the models; the note describes them
    {"do": "frame", "path": ..., ...}            {}                set the picture for the following requests
    {"do": "time"}                               {"ms": 12.3}      make one whole call, from the picture in memory
    {"do": "answer", "out": ...}                 {}                make another, and write its results (see `answer`)
    {"do": "embed", "windows": [...], "texts": [...], "out": ...}  {}   embed windows of the picture, and texts

The worker ends at the end of its input.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from answer import Answer
from numpy.typing import NDArray
from pins import installed, pinned, requirements

PROTOCOL = 1


class Worker(Protocol):
    """The interface of a peer."""

    def open(self, **options: Any) -> str:
        """Load the models; returns a note about them."""

    def show(self, path: Path, **options: Any) -> None:
        """Read the picture, and do what is needed once per picture."""

    def call(self) -> Any:
        """Make the whole call, as a user would."""

    def answer(self, made: Any) -> Answer:
        """Convert the result of a call to the common format."""

    def embed(self, windows: NDArray[np.intp], texts: list[str]) -> dict[str, NDArray[np.float32]]:
        """CLIP embeddings `crops` of windows (n, 4) of the picture, and `texts`: rows of length one."""


def serve(worker: Worker, peer: str) -> NoReturn:
    """Answer requests until the input ends.

    Output of libraries is redirected to stderr, since stdout is used by the protocol.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    _reply(replies, {"protocol": PROTOCOL, "versions": installed(pinned(requirements(peer)))})
    for line in sys.stdin:
        try:
            _reply(replies, _do(worker, json.loads(line)))
        except Exception as error:  # noqa: BLE001 - every error is reported to the other side
            lines = [each for each in str(error).splitlines() if each.strip()]
            _reply(replies, {"error": f"{type(error).__name__}: {lines[0] if lines else 'no message'}"})
    sys.exit(0)


def _do(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    what = request.pop("do")
    if what == "open":
        return {"note": worker.open(**request)}
    if what == "frame":
        worker.show(Path(request.pop("path")), **request)
        return {}
    if what == "time":
        start = time.perf_counter()
        worker.call()
        return {"ms": (time.perf_counter() - start) * 1e3}
    if what == "answer":
        worker.answer(worker.call()).save(Path(request["out"]))
        return {}
    if what == "embed":
        windows = np.array(request["windows"], np.intp).reshape(-1, 4)
        made = worker.embed(windows, list(request["texts"]))
        with Path(request["out"]).open("wb") as file:
            np.savez(file, crops=made["crops"], texts=made["texts"])
        return {}
    raise ValueError(f"expected open, frame, time, answer or embed, found {what!r}")


def _reply(replies: Any, document: Mapping[str, Any]) -> None:
    replies.write(json.dumps(document) + "\n")
    replies.flush()

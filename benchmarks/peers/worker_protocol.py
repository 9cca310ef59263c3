"""Serving: a peer's half of the line protocol. It runs in the peer's own environment and needs numpy alone.

One JSON object a line each way. The worker begins with `{"protocol": 1, "versions": {...}}`; then each request gets
one answer, `{"error": "..."}` where it failed:

    {"do": "open", ...}                          {"note": "..."}   models are loaded; what is worth knowing of them
    {"do": "frame", "path": ..., ...}            {}                the picture of all that follows
    {"do": "time"}                               {"ms": 12.3}      one whole call, picture in memory to answer
    {"do": "answer", "out": ...}                 {}                one more, its answer written there (see `answer`)
    {"do": "embed", "windows": [...], "texts": [...], "out": ...}  {}   embeddings of parts of the picture, and of texts

It ends with its input.
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
    """What a peer does."""

    def open(self, **options: Any) -> str:
        """Load the models; returns what is worth knowing."""

    def show(self, path: Path, **options: Any) -> None:
        """Read the picture, and do whatever is needed once for it."""

    def call(self) -> Any:
        """The whole call, as its user makes it."""

    def answer(self, made: Any) -> Answer:
        """What a call gave, in the common form."""

    def embed(self, windows: NDArray[np.intp], texts: list[str]) -> dict[str, NDArray[np.float32]]:
        """CLIP's `crops` of windows (n, 4) of the picture, and of `texts`: rows of length one."""


def serve(worker: Worker, peer: str) -> NoReturn:
    """Answer requests until there are no more.

    What libraries print goes to stderr, so that the protocol has stdout to itself.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    _reply(replies, {"protocol": PROTOCOL, "versions": installed(pinned(requirements(peer)))})
    for line in sys.stdin:
        try:
            _reply(replies, _do(worker, json.loads(line)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side is to know
            told = [each for each in str(error).splitlines() if each.strip()]
            _reply(replies, {"error": f"{type(error).__name__}: {told[0] if told else 'no message'}"})
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

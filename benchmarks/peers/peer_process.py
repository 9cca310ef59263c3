"""Start the process of a peer, and talk to it over the line protocol (see `worker_protocol`)."""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from answer import Answer
from numpy.typing import NDArray
from peer_errors import PeerDiedError, PeerEnvironmentError, PeerFailedError, PeerReplyError
from worker_protocol import PROTOCOL

_TIMEOUT_S = 900.0  # a request may include an export
_END_S = 10.0


class PeerProcess:
    """A peer in its own environment. A context manager, which ends the process.

    Attributes:
        name: Name of the peer.
        versions: Versions of its packages, as the process reports them.
        note: Note of the worker about its models.
    """

    def __init__(
        self, name: str, python: Path, script: Path, options: dict[str, Any], timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Start the process and load its models.

        Args:
            name: Name of the peer.
            python: The interpreter of its environment.
            script: The worker.
            options: Options of the worker's `open`.
            timeout_s: Longest wait for a reply.

        Raises:
            PeerEnvironmentError: The interpreter does not exist.
            PeerDiedError, PeerReplyError, PeerFailedError: The worker can't be opened.
        """
        self.name, self._timeout_s = name, timeout_s
        self._folder = tempfile.TemporaryDirectory()
        self._errors = (Path(self._folder.name) / "stderr").open("w+b")
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        try:
            self._process = subprocess.Popen(
                [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=clean
            )
        except OSError as error:
            self._errors.close()
            self._folder.cleanup()
            raise PeerEnvironmentError(name, python) from error
        self._replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=_read, args=(self._process.stdout, self._replies), daemon=True).start()
        try:
            self.versions = self._greeting()
            self.note = str(self._ask("open", **options).get("note", ""))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(_END_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._errors.close()
        self._folder.cleanup()

    def show(self, picture: Path, **options: Any) -> None:
        """Set the picture for the following requests, with options of the worker."""
        self._ask("frame", path=str(picture), **options)

    def time_ms(self) -> float:
        """Make one whole call; returns its time in that process, ms."""
        reply = self._ask("time")
        spent = reply.get("ms")
        if not isinstance(spent, float) or not math.isfinite(spent) or spent <= 0:
            raise PeerReplyError(self.name, "time", "ms above 0", json.dumps(reply))
        return spent

    def answer(self) -> Answer:
        """The results of one whole call."""
        path = Path(self._folder.name) / "answer.npz"
        self._ask("answer", out=str(path))
        try:
            return Answer.load(path)
        except (OSError, ValueError, KeyError) as error:
            raise PeerReplyError(self.name, "answer", "a file of segments", str(error)) from error

    def embed(self, windows: NDArray[np.intp], texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """CLIP embeddings of windows (n, 4), xyxy, whole px of the picture, and of m texts: (n, d) and (m, d)."""
        path = Path(self._folder.name) / "embeddings.npz"
        self._ask("embed", windows=windows.tolist(), texts=list(texts), out=str(path))
        try:
            with np.load(path, allow_pickle=False) as file:
                crops, made = file["crops"].astype(np.float32), file["texts"].astype(np.float32)
        except (OSError, ValueError, KeyError) as error:
            raise PeerReplyError(self.name, "embed", "a file of embeddings", str(error)) from error
        if crops.ndim != 2 or made.ndim != 2 or (len(crops), len(made)) != (len(windows), len(texts)):
            expected = f"{len(windows)} crops and {len(texts)} texts"
            raise PeerReplyError(self.name, "embed", expected, f"{crops.shape} and {made.shape}")
        return crops, made

    def _greeting(self) -> dict[str, str]:
        """The versions in its first line."""
        hello = self._next("start")
        versions = hello.get("versions")
        if hello.get("protocol") != PROTOCOL or not isinstance(versions, dict):
            raise PeerReplyError(self.name, "start", f"protocol {PROTOCOL} and versions", json.dumps(hello))
        return {str(key): str(value) for key, value in versions.items()}

    def _ask(self, what: str, **options: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **options}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerDiedError(self.name, what, self._ending()) from error
        return self._next(what)

    def _next(self, doing: str) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=self._timeout_s)
        except queue.Empty:
            self._process.kill()
            raise PeerDiedError(self.name, doing, f"none within {self._timeout_s:g} s") from None
        if not line:
            raise PeerDiedError(self.name, doing, self._ending())
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise PeerReplyError(self.name, doing, "a JSON object", repr(line.decode(errors="replace")))
        if "error" in reply:
            raise PeerFailedError(self.name, doing, str(reply["error"]))
        return reply

    def _ending(self) -> str:
        """How the process ended, for a message."""
        try:
            code: object = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "its output closed"
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return f"that it ended with code {code}" + (f": {lines[-1].strip()}" if lines else "")


def _read(stream: IO[bytes], replies: queue.SimpleQueue[bytes]) -> None:
    """Pass lines on as they come, and an empty one at the end."""
    for line in stream:
        replies.put(line)
    stream.close()
    replies.put(b"")

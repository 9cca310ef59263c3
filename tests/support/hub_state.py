"""What a hub on loopback has, what goes wrong with it, and what was asked of it; see `hub_server`."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

LFS_BYTES = 1000
"""Files from this size on are stored outside of git, as the hub does from 10 MB on, and with any .onnx."""


@dataclass
class HubRepository:
    """A repository: its files at each commit, and which commit its branches and tags mean."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    card: dict[str, Any] = field(default_factory=dict)
    gated_for: str = ""  # the only token that may read it
    private_for: str = ""

    def commit_of(self, revision: str) -> str:
        return self.refs.get(revision, revision)


@dataclass
class Fault:
    """What goes wrong with requests whose path matches, so many times.

    Kinds: `status` (answers `value`), `html` (a web page), `cut` (closes after `value` bytes of a whole file), `short`
    (declares and sends `value` bytes), `content` (sends `value`), `stall` (sends `value` bytes, then nothing), `silent`
    (answers nothing), `redirect` (to `value`), `no-range` (ignores a range), `no-length` (declares no length; sends
    `value` if there is one), `other-range` (sends the whole file as if it were the part that was asked for), `gzip`
    (compresses it).
    """

    pattern: str
    kind: str
    value: Any = None
    times: int = 1 << 30
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class HubServer:
    """The server's state.

    Attributes:
        port: It listens on 127.0.0.1, which `localhost` is too: storage is addressed by that name.
        repositories: By id.
        plain: Files of a plain web server, by path below `/plain/`.
        plain_headers: More headers for them.
        faults: What goes wrong; the first that matches.
        requests: What was asked: method, path, and headers in lower case.
    """

    port: int = 0
    repositories: dict[str, HubRepository] = field(default_factory=dict)
    plain: dict[str, bytes] = field(default_factory=dict)
    plain_headers: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage(self) -> str:
        return f"http://localhost:{self.port}"

    def add(self, name: str, files: dict[str, bytes], **options: Any) -> str:
        """Add a repository with one commit, which `main` means; the commit."""
        commit = git_id("".join(f"{path} {git_id(content)}\n" for path, content in sorted(files.items())).encode())
        self.repositories[name] = HubRepository({commit: files}, {"main": commit}, **options)
        return commit

    def fault(self, pattern: str, kind: str, value: Any = None, **options: Any) -> Fault:
        """Let something go wrong from now on."""
        self.faults.append(Fault(pattern, kind, value, **options))
        return self.faults[-1]

    def paths(self, pattern: str = "") -> list[str]:
        """Paths that were requested."""
        return [path for _, path, _ in self.requests if re.search(pattern, path)]

    def take_fault(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, path):
                    fault.times -= 1
                    return fault
        return None


@lru_cache(maxsize=64)
def git_id(content: bytes) -> str:
    """The id of a file as a git blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@lru_cache(maxsize=64)
def sha256_of(content: bytes) -> str:
    """The hash by which storage knows a file."""
    return hashlib.sha256(content).hexdigest()


def is_large(path: str, content: bytes) -> bool:
    return path.endswith(".onnx") or len(content) >= LFS_BYTES

"""Errors of peers."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import RequestError, WorkError


class PeerEnvironmentError(RequestError, FileNotFoundError):
    """A peer has no environment."""

    def __init__(self, peer: str, python: Path) -> None:
        super().__init__(
            f"{peer}: expected its interpreter at {python}, found nothing that runs; "
            f"make it with: python benchmarks/peers/setup.py {peer}  (or pass one with --python)"
        )


class PeerDiedError(WorkError, ConnectionError):
    """A peer's process ended, or stopped answering."""

    def __init__(self, peer: str, doing: str, found: str) -> None:
        super().__init__(f"{peer}: expected an answer to {doing!r}, found {found}")


class PeerReplyError(WorkError, ValueError):
    """A peer sent an invalid reply."""

    def __init__(self, peer: str, doing: str, expected: str, found: str) -> None:
        super().__init__(f"{peer}: expected {expected} in answer to {doing!r}, found {found[:80]}")


class PeerFailedError(WorkError, RuntimeError):
    """A request failed in the process of a peer."""

    def __init__(self, peer: str, doing: str, error: str) -> None:
        super().__init__(f"{peer}: {doing!r} failed: {error}")


class DisagreementError(WorkError, ArithmeticError):
    """Two sides have different results, so a comparison of their times means nothing."""

    def __init__(self, peer: str, ours: str, expected: str, found: str) -> None:
        super().__init__(
            f"{peer} and {ours} disagree, so their times are not compared: expected {expected}, found {found}"
        )

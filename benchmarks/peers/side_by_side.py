"""Compare the results of all sides of a case, then time the sides that agree in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import import_paths  # noqa: F401 - makes the next imports possible

# isort: split
import cv2
import numpy as np
import pins
from agreement import Metrics, check, match, match_embeddings
from answer import Answer
from numpy.typing import NDArray
from our_side import OurSide
from peer_cases import PeerCase
from peer_errors import DisagreementError, PeerDiedError, PeerFailedError, PeerReplyError
from peer_process import PeerProcess

from claims.common import harness
from fastsam_bench.results.records import Failed, Interval, Peer, Rate
from fastsam_bench.timing.blocks import state

_WENT_WRONG = (DisagreementError, PeerDiedError, PeerFailedError, PeerReplyError)


def compare_case(
    case: PeerCase, python: Path, ours: Mapping[str, OurSide], rounds: int, warmup: int
) -> Iterator[Peer | Failed]:
    """Compare the sides of a case, and yield the records as they are made. Tables and errors are printed.

    Args:
        case: Peer, models, pictures and bounds.
        python: The interpreter of the peer's environment.
        ours: Our sides by name.
        rounds, warmup: Timed turns per side, and turns before them.

    Raises:
        PeerEnvironmentError: The interpreter does not exist.
    """
    with ExitStack() as stack:
        peers: dict[str, PeerProcess] = {}
        for name, options in case.sides.items():
            try:
                peers[name] = stack.enter_context(PeerProcess(name, python, case.script, dict(options)))
            except _WENT_WRONG as error:
                yield _failed(error, case.model, name)
        for title, frame in case.pictures.items():
            picture = _Picture(case, f"{title} {frame.shape[0]}x{frame.shape[1]}", frame, ours, dict(peers))
            yield from picture.agree()
            yield from picture.time(rounds, warmup)


class _Picture:
    """The sides of a case on one picture."""

    def __init__(
        self,
        case: PeerCase,
        title: str,
        frame: NDArray[np.uint8],
        ours: Mapping[str, OurSide],
        peers: Mapping[str, PeerProcess],
    ) -> None:
        self._case, self._title, self._frame = case, title, frame
        self._ours, self._peers = ours, peers
        self._agreed: dict[tuple[str, str], Metrics] = {}

    def agree(self) -> Iterator[Failed]:
        """Compare the results of each peer with each of ours; yields pairs that disagree, which are not timed."""
        answers = {name: side.answer(self._frame) for name, side in self._ours.items()}
        first = next(iter(self._ours.values()))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frame.png"  # decoders of JPEG may differ
            if not cv2.imwrite(str(path), self._frame):
                raise harness.BenchmarkError(f"expected to write a picture to {folder}, could not")
            for name, peer in self._peers.items():
                try:
                    peer.show(path, input=first.input_size(self._frame))
                    theirs = peer.answer()
                    for mine in self._ours:
                        try:
                            self._agreed[name, mine] = self._compare(peer, theirs, mine, answers[mine])
                        except DisagreementError as error:
                            yield self._failed(error, name, mine)
                except _WENT_WRONG as error:
                    yield self._failed(error, name)

    def time(self, rounds: int, warmup: int) -> Iterator[Peer | Failed]:
        """Time the sides that agree with another one, in turn."""
        sides = [
            harness.Side(mine, harness.wall_clock(lambda side=side: side.call(self._frame)))  # type: ignore[misc]
            for mine, side in self._ours.items()
            if any(pair[1] == mine for pair in self._agreed)
        ]
        sides += [
            harness.Side(name, peer.time_ms)
            for name, peer in self._peers.items()
            if any(pair[0] == name for pair in self._agreed)
        ]
        if not sides:
            return
        try:
            times = harness.measure(sides, rounds, warmup)
        except _WENT_WRONG as error:
            yield self._failed(error)
            return
        shown = [mine for mine in self._ours if mine in times]
        harness.show_times(f"{self._case.peer}: {self._case.model}, {self._title}", times, shown)
        for (name, mine), metrics in self._agreed.items():
            record = self._record(name, mine, metrics, times)
            agreement = ", ".join(f"{key} {value:.5g}" for key, value in metrics.items() if value is not None)
            ratio = record.ratio
            print(f"{name} / {mine}: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}); {agreement}")
            yield record

    def _compare(self, peer: PeerProcess, theirs: Answer, mine: str, answer: Answer) -> Metrics:
        """Metrics of the agreement of two results.

        Raises:
            DisagreementError: A bound is broken.
        """
        bounds, prompt, ours = self._case.bounds, self._case.wanted.prompt, self._ours[mine]
        metrics, broken = match(theirs, answer, bounds)
        if prompt is not None and not broken and len(answer):
            windows = ours.windows(self._frame, answer)
            found, more = match_embeddings(
                peer.embed(windows, [prompt]), ours.embed(self._frame, windows, [prompt]), bounds
            )
            metrics, broken = {**metrics, **found}, more
        check(peer.name, f"ours, {mine},", broken)
        return metrics

    def _failed(self, error: Exception, *sides: str) -> Failed:
        return _failed(error, self._case.model, self._title, *sides)

    def _record(self, name: str, mine: str, metrics: Metrics, times: harness.Times) -> Peer:
        peer, case = self._peers[name], self._case
        theirs, ours = times[name], times[mine]
        ratio = state([a / b for a, b in zip(theirs, ours, strict=True)])
        different = pins.differences(pins.pinned(pins.requirements(case.peer)), peer.versions)
        versions = "other versions than pinned: " + "; ".join(different) if different else ""
        return Peer(
            peer=name,
            version=peer.versions.get(case.version_of, pins.MISSING),
            model=f"{case.model}, {self._title}",
            ours=mine,
            latency_ms=_interval(theirs),
            ours_ms=_interval(ours),
            ratio=Rate(ratio.median, ratio.low, ratio.high),
            agreement=metrics,
            note="; ".join(each for each in (case.note, peer.note, versions) if each),
        )


def _interval(times_ms: Sequence[float]) -> Interval:
    stated = state(times_ms)
    return Interval(stated.median, stated.low, stated.high)


def _failed(error: Exception, *where: str) -> Failed:
    print(f"not compared: {error}")
    return Failed(id="/".join(("peer", *where)), error=str(error))

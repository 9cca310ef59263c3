"""Start a side in a process of its own, with this source tree or another one, and talk to it (see `side_worker`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from claims.common import harness

_SCRIPT = Path(__file__).with_name("side_worker.py")
_WINGS = ("export", "engine", "runtime")
_END_S = 10.0


def environment(tree: Path | None) -> dict[str, str]:
    """The environment of a process whose packages come from a source tree or a folder of installed packages.

    Args:
        tree: The folder; None: the packages that the interpreter finds by itself.

    Raises:
        BenchmarkError: There is no package in it.
    """
    if tree is None:
        return dict(os.environ)
    folders = [each for each in (tree, *(tree / wing for wing in _WINGS)) if each.is_dir()]
    if not any((folder / "fastsam_trt").is_dir() for folder in folders):
        raise harness.BenchmarkError(f"expected a source tree or installed packages in {tree}, found no fastsam_trt")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(each.resolve()) for each in folders)}


class SideProcess:
    """A pipeline in its own process. A context manager, which ends the process.

    Attributes:
        opened: Backend, precision, class names and package folder of the pipeline.
    """

    def __init__(self, model: str | Path, options: Mapping[str, Any], tree: Path | None = None) -> None:
        """Start the process and open the pipeline.

        Args:
            model: Name, folder or file.
            options: Options of the pipeline.
            tree: As for `environment`.

        Raises:
            BenchmarkError: The process or the pipeline can't be opened.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(tree),
            text=True,
        )
        try:
            self.opened = self._ask("open", model=str(model), options=dict(options))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def show(self, image: Path) -> None:
        """Set the frame for the following requests."""
        self._ask("show", image=str(image.resolve()))

    def case(self, call: Mapping[str, Any], chosen: int | None = None) -> dict[str, Any]:
        """Set the options of the following calls, and call once.

        Args:
            call: Options of a call of the pipeline.
            chosen: How many segments get masks; None: all.

        Returns:
            The number of `segments`, and their `classes` and `boxes`.
        """
        return self._ask("case", call=dict(call), chosen=chosen)

    def time_ms(self) -> float:
        """Make one whole call; returns its time in that process, ms."""
        return float(self._ask("time")["ms"])

    def memory(self, images: Sequence[Path], frames: int) -> tuple[list[int], int]:
        """Call for frames in turn: resident memory from time to time, and its highest value since the start, kB."""
        reply = self._ask("memory", images=[str(image.resolve()) for image in images], frames=frames)
        return list(reply["resident_kb"]), int(reply["peak_kb"])

    def _ask(self, what: str, **options: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **options}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise harness.BenchmarkError("a side can't run here; its own error is above")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise harness.BenchmarkError(f"{what}: {reply['error']}")
        return reply

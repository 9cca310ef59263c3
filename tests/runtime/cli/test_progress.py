"""What a run shows: a bar on terminals, one line per file, and with `--quiet` errors alone."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from fastsam_trt.cli.main import main
from support.colour_models import scene

Write = Callable[[Path, list[np.ndarray]], Path]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr a terminal of 200 columns; within the test, since capturing sets stderr between its phases."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", "200")
    return shown


@pytest.fixture
def folder(tmp_path: Path, photo: Path, write_video: Write) -> Path:
    """Two images, and a video between them: red in all five frames, green in three."""
    made = tmp_path / "files"
    made.mkdir()
    for name in ("a.png", "c.png"):
        (made / name).write_bytes(photo.read_bytes())
    frames = [scene(("red", 1, 1), *([("green", 5, 5)] if i < 3 else [])) for i in range(5)]
    write_video(made / "b.avi", frames)
    return made


def _run(source: object, *arguments: str) -> int:
    return main([str(source), "--model", "colours", *arguments])


def test_a_terminal_shows_what_is_opened_and_a_bar_for_one_image(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    assert _run(photo) == 0
    shown = terminal.getvalue()
    assert shown.index("opening the source") < shown.index("opening the models") < shown.index("0/1 [")
    assert " images/s]" in shown
    assert shown.endswith("\r"), "nothing is left of it"


def test_a_terminal_shows_a_bar_over_the_files_of_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    monkeypatch.setattr("fastsam_trt.cli.progress.tqdm", partial(tqdm, mininterval=0))  # shows every step
    assert _run(folder) == 0
    shown = terminal.getvalue()
    assert [f"{done}/3 [" in shown for done in (0, 1, 3)] == [True, True, True]
    assert " files" in shown
    assert "b.avi: 5 frames" in shown
    assert "4/3" not in shown


def test_a_stream_that_is_no_terminal_shows_no_bar(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder) == 0
    printed = capsys.readouterr()
    assert "\r" not in printed.out + printed.err
    assert "opening" not in printed.err


def test_each_file_has_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        f"{folder}/a.png: 2 of 2 segments: red 1.00, green 1.00",
        f"{folder}/b.avi: 5 frames, 8 selected segments: red 5, green 3",
        f"{folder}/c.png: 2 of 2 segments: red 1.00, green 1.00",
    ]


def test_a_video_at_the_end_has_its_line_too_and_names_what_is_most(
    tmp_path: Path, write_video: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("1.avi", "2.avi"):
        write_video(tmp_path / name, [scene(("red", 1, 1))] * 3)
    assert _run(tmp_path / "*.avi", "--prompt", "blue") == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"{tmp_path}/1.avi: 3 frames, 0 selected segments",
        f"{tmp_path}/2.avi: 3 frames, 0 selected segments",
    ]


def test_a_video_that_breaks_off_has_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = folder / "b.avi"
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    assert _run(folder) == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{video}: [1-4] frames?, \d+ selected segments?: .*", lines[1])
    assert lines[2].startswith(f"{folder}/c.png: ")


def test_quiet_prints_nothing_but_errors(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = _terminal(monkeypatch)
    lines = tmp_path / "out.jsonl"
    assert _run(folder, "--quiet", "--json", str(lines), "--save", str(tmp_path / "saved")) == 0
    assert len(lines.read_text().splitlines()) == 7
    assert (capsys.readouterr().out, terminal.getvalue()) == ("", "")
    assert _run(tmp_path / "no.png", "-q") == 2
    assert capsys.readouterr().out == ""
    assert len(terminal.getvalue().splitlines()) == 1


def test_quiet_keeps_warnings_back(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The broken file is counted in the error at the end, and the warning in between is not printed."""
    kept = logging.getLogger().handlers[:]
    logging.getLogger().handlers.clear()  # as in a process of its own: pytest has handlers
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    try:
        assert _run(folder, "--quiet") == 1
    finally:
        logging.getLogger().handlers[:] = kept
    (line,) = shown.getvalue().splitlines()
    assert "error: " in line
    assert "1 of 3 files can't be read" in line


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("compare", "--image", "PHOTO", "--prompt", "red", "--model", "colours", "--repeat", "1"), True),
        (("info", "colours"), True),
        (("build", "colours", "--backend", "openvino"), False),
    ],
)
def test_quiet_keeps_the_tables_that_a_command_is_for(
    arguments: tuple[str, ...], printed: bool, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")
    assert main([str(photo) if each == "PHOTO" else each for each in arguments] + ["--quiet"]) == 0
    assert bool(capsys.readouterr().out) == printed

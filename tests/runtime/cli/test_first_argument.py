"""A source as the first argument is short for `run --video SOURCE`; a word that is neither is refused with a hint."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fastsam_trt.cli.first_argument import with_command
from fastsam_trt.cli.main import main, make_parser

COMMANDS = ("run", "info", "bench")


@pytest.mark.parametrize(
    "source",
    [
        "photo.jpg", "./run", "folder/", "*.jpg", "clips/2[0-9].mp4", "~/photo", "rtsp://camera/1", "http://host/a",
        "0", "12345678901", "cam0", "demo", "demo://", "-", "file:photo", "/dev/video0", "a file with spaces.png",
        "C:\\photos\\1.jpg",
    ],
)  # fmt: skip
def test_a_source_is_a_run(source: str) -> None:
    given = [source, "--prompt", "car"]
    assert with_command(given, COMMANDS) == ["run", f"--video={source}", "--prompt", "car"]
    assert make_parser().parse_args(given).source == source
    assert make_parser().parse_args(["run", *given]).source == source


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["run", "--video", "x"], ["info", "model"], ["--help"], ["-h"], ["--version"], ["run", "-q", "x"]],
)
def test_commands_and_options_stay(arguments: list[str]) -> None:
    assert with_command(arguments, COMMANDS) == arguments


def test_a_command_goes_before_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("info", "run", "photo", "inf"):
        (tmp_path / name).touch()
    assert with_command(["info", "model"], COMMANDS) == ["info", "model"]
    assert with_command(["run", "--video", "x"], COMMANDS) == ["run", "--video", "x"]
    assert with_command(["./info"], COMMANDS) == ["run", "--video=./info"]
    assert with_command(["photo"], COMMANDS) == ["run", "--video=photo"]
    assert with_command(["inf"], COMMANDS) == ["run", "--video=inf"]
    assert with_command(["run", "run"], COMMANDS) == ["run", "--video=run"]


def test_a_name_with_two_meanings_is_left_to_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert with_command(["demo"], COMMANDS) == ["run", "--video=demo"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rnu", "--video", "x"], "found 'rnu'; did you mean run?"),
        (["a red car"], "expected a command, or a source such as a file, an address or cam0, found 'a red car'"),
        ([""], "found ''"),
        (["a.jpg", "b.jpg", "c.jpg"], "expected one source before the options, found 'a.jpg' and then 'b.jpg'"),
        (["run", "a.jpg", "b.jpg"], "as a pattern in quotes, and texts with --prompt"),
        (["photo.jpg", "car"], "and texts with --prompt"),
    ],
)
def test_other_words_are_refused(arguments: list[str], expected: str) -> None:
    with pytest.raises(argparse.ArgumentError) as refused:
        with_command(arguments, COMMANDS)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ifno", "demo-seg"], "found 'ifno'; did you mean info?; see fastsam-trt --help"),
        (["--prompt", "car", "photo.jpg"], "fastsam-trt: error: "),
        (["photo.jpg", "--video", "clip.mp4"], "expected one source, found 'photo.jpg' and 'clip.mp4'"),
        (["run", "--video", "a", "--source=b"], "expected one source, found 'a' and 'b'"),
        (["photo.jpg", "--debug", "--quiet"], "not allowed with argument --debug"),
    ],
)
def test_refusals_are_one_line_and_2(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_a_photo_runs(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(photo), "--model", "colours", "--prompt", "red"]) == 0
    assert f"{photo}: 1 of 2 segments: red 1.00" in capsys.readouterr().out


def test_a_source_that_is_not_there_is_the_error_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-photo.jpg", "--model", "colours"]) == 2
    assert "source 'no-such-photo.jpg': expected a camera, an address, or an existing file" in capsys.readouterr().err

"""`--help` of the command and of every subcommand: defaults, generated lists, examples that parse."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from fastsam_bench.run.plan import SCENARIOS
from fastsam_engine.backend_choice import all_builders
from fastsam_engine.backends import Backend, all_backends
from fastsam_engine.spec.model_spec import Precision
from fastsam_engine.store.catalog import CATALOG
from fastsam_trt.cli.main import main, make_parser

COMMANDS = ("run", "compare", "pull", "serve", "export", "build", "bench", "info", "doctor")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no line of an option is broken."""
    monkeypatch.setenv("COLUMNS", "500")


def _parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (subcommands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(subcommands.choices)


def _lines() -> dict[str, str]:
    """What the help of the command says about each subcommand."""
    (subcommands,) = (each for each in make_parser()._actions if isinstance(each, argparse._SubParsersAction))
    return {action.dest: str(action.help) for action in subcommands._choices_actions}


def _help(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def _parser(command: str) -> argparse.ArgumentParser:
    """The parser of a subcommand, with its options."""
    parser = _parsers(make_parser())[command]
    with pytest.raises(SystemExit):
        parser.parse_known_args(["--help"])
    return parser


def _examples(text: str) -> Iterator[list[str]]:
    lines = [line.strip() for line in text.partition("examples:")[2].splitlines()]
    return (shlex.split(line) for line in lines if line.startswith("fastsam-trt "))


def test_the_tests_know_every_subcommand() -> None:
    assert tuple(_parsers(make_parser())) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_subcommand_has_a_description_and_two_to_four_examples_that_parse(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _help(capsys, command)
    lines = [line for line in text.partition("examples:")[2].splitlines() if line.strip()]
    examples = list(_examples(text))
    assert 2 <= len(examples) <= 4
    assert [line.strip()[0] for line in lines] == ["#", "f"] * len(examples), "a purpose above every example"
    for program, *arguments in examples:
        assert (program, arguments[0]) == ("fastsam-trt", command)
        assert callable(make_parser().parse_args(arguments).execute)
    line = _lines()[command]
    assert f"\n\n{line[0].upper()}{line[1:]}.\n" in text


def test_the_examples_of_the_command_parse(capsys: pytest.CaptureFixture[str]) -> None:
    examples = list(_examples(_help(capsys)))
    assert len(examples) >= 3
    for _, *arguments in examples:
        assert callable(make_parser().parse_args(arguments).execute)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_with_a_default_shows_it_once(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = _parser(command)
    capsys.readouterr()
    formatter = parser._get_formatter()
    shown = 0
    for action in parser._actions:
        text = formatter._expand_help(action)
        if action.default in (None, argparse.SUPPRESS, False, True, []):
            continue
        value = f"{action.default:g}" if isinstance(action.default, float) else str(action.default)
        assert text.count(f"(default: {value})") == 1, action.option_strings
        assert text.count("default: ") == 1, action.option_strings
        shown += 1
    assert shown or command in ("info", "doctor")


@pytest.mark.parametrize("command", ["run", "compare", "serve", "build", "bench"])
def test_options_are_in_named_groups(command: str) -> None:
    parser = _parser(command)
    named = {group.title: [a.dest for a in group._group_actions] for group in parser._action_groups}
    assert sorted(named["options"]) == ["debug", "help", "quiet"]
    assert all(title and members for title, members in named.items() if title != "positional arguments")
    assert len(named) >= 5


def test_lists_come_from_the_registries(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    known = all_backends()
    openvino: Any = type(known["openvino"])

    class Another(openvino):  # a backend like any other
        name = "another-backend"

    monkeypatch.setattr("fastsam_engine.backends.registry._REGISTERED", {**known, "another-backend": Another()})
    all_backends.cache_clear()
    try:
        assert "another-backend" in all_builders()
        for command in ("run", "compare", "serve", "build", "bench"):
            assert "another-backend" in _help(capsys, command)
    finally:
        monkeypatch.undo()
        all_backends.cache_clear()
    assert "another-backend" not in _help(capsys, "run")


def test_help_names_every_backend_precision_model_and_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    texts = {command: _help(capsys, command) for command in COMMANDS}
    for command in ("run", "compare", "bench"):
        assert all(name in texts[command] for name in (*all_backends(), *get_args(Precision)))
    builders = {name for name, backend in all_backends().items() if type(backend).build is not Backend.build}
    assert {name for name in all_backends() if name in texts["build"]} == builders
    assert "onnxruntime" not in builders
    assert all(name in texts["export"] for name in CATALOG)
    explained = texts["bench"].rpartition("scenarios:\n")[2]
    assert [line.split()[0] for line in explained.splitlines()[: len(SCENARIOS)]] == list(SCENARIOS)


def test_help_of_the_command_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom fastsam_trt.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'cv2', 'av', 'onnxruntime', 'openvino', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "fastsam-trt run --video demo" in done.stdout


def test_no_arguments_show_the_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert 'fastsam-trt run --video demo --prompt "red circle" --save out.mp4' in out
    assert err == ""
    assert out == _help(capsys)


def test_an_import_that_fails_while_options_are_made_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastsam_trt.pipeline.pipeline", None)
    assert main(["run", "--video", "demo"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fastsam-trt: error: unexpected ModuleNotFoundError: ")

"""Errors of scripts: a `FastsamError` is one line and its exit code, others stay what they are."""

from __future__ import annotations

import sys

import pytest

from fastsam_engine.errors import FastsamError, RequestError, WorkError
from fastsam_trt.cli import one_line_errors


@pytest.mark.parametrize(("kind", "code"), [(RequestError, 2), (WorkError, 1)])
def test_a_fastsam_error_is_one_line_and_its_exit_code(
    kind: type[FastsamError], code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/count.py"])
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise kind("expected a cat, found a dog")
    assert stop.value.code == code
    assert capsys.readouterr() == ("", "count.py: error: expected a cat, found a dog\n")


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_other_errors_pass(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error)) as caught, one_line_errors():
        raise error
    assert caught.value is error
    assert capsys.readouterr() == ("", "")


def test_a_block_without_errors_goes_on() -> None:
    with one_line_errors():
        done = True
    assert done

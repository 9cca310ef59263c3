"""Test graphs that OpenVINO compiled in a build: later sessions load them, unless they are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastsam_engine import find_graph, open_session
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_trt.cli.main import main
from support import colour_models

pytest.importorskip("openvino")


def _kept() -> list[Path]:
    return sorted(EngineCache().folder.glob("openvino/*.compiled"))


def _answer(name: str = "colours", *, height: int = 256) -> dict[str, np.ndarray]:
    session = open_session(find_graph(name), "openvino", frames=True)
    return session.run({session.spec.input_names[0]: colour_models.scene(("red", 1, 1), height=height)[None]})


def _compiles(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    import openvino

    compiled: list[object] = []
    compile_model = openvino.Core.compile_model

    def count(core: openvino.Core, *given: object) -> openvino.CompiledModel:
        compiled.append(given)
        return compile_model(core, *given)

    monkeypatch.setattr(openvino.Core, "compile_model", count)
    return compiled


def test_what_was_built_is_not_compiled_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = _answer()
    assert not _kept()  # a run keeps nothing
    assert main(["build", "colours", "--backend", "openvino"]) == 0
    assert len(_kept()) == 2  # the usual size and the largest
    compiled = _compiles(monkeypatch)
    found = _answer()
    assert not compiled
    assert all((found[name] == array).all() for name, array in expected.items())
    _answer(height=64)
    assert len(compiled) == 1  # a size that was not built
    assert main(["build", "colours", "--backend", "openvino"]) == 0
    assert "cached" in capsys.readouterr().out
    assert main(["build", "colours", "--backend", "openvino", "--again"]) == 0
    assert len(compiled) == 3
    assert main(["doctor", "--prune"]) in (0, 1)
    assert not _kept()


@pytest.mark.parametrize("harm", [lambda data: data[: len(data) // 2], lambda data: data[:-9] + b"\1" + data[-8:]])
def test_damaged_files_are_compiled_again(monkeypatch: pytest.MonkeyPatch, harm: object) -> None:
    expected = _answer()
    assert main(["build", "colours", "--backend", "openvino"]) == 0
    for path in _kept():
        path.write_bytes(harm(path.read_bytes()))  # type: ignore[operator]
    compiled = _compiles(monkeypatch)
    found = _answer()
    assert len(compiled) == 1
    assert all((found[name] == array).all() for name, array in expected.items())


def test_a_graph_that_was_written_anew_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["build", "colours", "--backend", "openvino"]) == 0
    graph = find_graph("colours")
    graph.write_bytes(find_graph("things").read_bytes())
    compiled = _compiles(monkeypatch)
    _answer()
    assert len(compiled) == 1


def test_what_openvino_does_not_have_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for more in (["--out", str(tmp_path)], ["--no-tf32"], ["--device", "cuda"]):
        assert main(["build", "colours", "--backend", "openvino", *more]) == 2
        assert "only --imgsz and --batch for OpenVINO" in capsys.readouterr().err


def test_a_model_with_helper_graphs_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "demo-seg", "--backend", "openvino"]) == 0
    assert {"demo-seg.onnx", "demo-seg.preprocess.onnx"} <= set(capsys.readouterr().out.split())

"""The rules between the wings, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WINGS = {
    "fastsam_export": ROOT / "export",
    "fastsam_engine": ROOT / "engine",
    "fastsam_trt": ROOT / "runtime",
    "fastsam_bench": ROOT / "benchmarks",
}
ALLOWED = {
    "fastsam_export": {"fastsam_engine"},
    "fastsam_engine": set(),
    "fastsam_trt": {"fastsam_engine"},
    "fastsam_bench": {"fastsam_trt", "fastsam_engine"},
}
EXCEPTIONS = {
    ("fastsam_trt/cli/export.py", "fastsam_export"),
    ("fastsam_trt/cli/pull.py", "fastsam_export"),
    ("fastsam_trt/cli/bench.py", "fastsam_bench"),
}
OF_EXTRAS = {("fastsam_bench/roofline/shape_inference.py", "onnx")}
FRAMEWORKS = {"torch", "torchvision", "transformers", "ultralytics", "onnx", "onnxslim"}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("wing", WINGS)
def test_imports_run_one_way(wing: str) -> None:
    files = sorted((WINGS[wing] / wing).rglob("*.py"))
    assert files
    for path in files:
        where = path.relative_to(WINGS[wing]).as_posix()
        crossed = (_imports(path) & WINGS.keys()) - {wing} - ALLOWED[wing]
        assert {(where, name) for name in crossed} <= EXCEPTIONS, where
        if wing != "fastsam_export":
            assert {(where, name) for name in _imports(path) & FRAMEWORKS} <= OF_EXTRAS, where


def test_ultralytics_is_imported_in_one_file_only() -> None:
    users = [p for wing, root in WINGS.items() for p in (root / wing).rglob("*.py") if "ultralytics" in _imports(p)]
    assert users == [ROOT / "export" / "fastsam_export" / "frameworks" / "ultralytics_models.py"]


def _loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = _loaded("import fastsam_trt")
    heavy = FRAMEWORKS | {"cv2", "onnxruntime", "openvino", "tokenizers", "numpy", "fastsam_export", "tensorrt", "cupy"}
    assert not loaded & heavy


def test_the_pipeline_loads_no_framework_and_no_backend_before_use() -> None:
    loaded = _loaded("from fastsam_trt import Pipeline")
    assert not loaded & (FRAMEWORKS | {"onnxruntime", "openvino", "fastsam_export", "supervision", "av", "PIL"})


def test_the_bench_loads_no_framework_and_no_backend_before_use() -> None:
    loaded = _loaded("from fastsam_bench.roofline import ceilings, limits, operations")
    assert not loaded & (FRAMEWORKS | {"onnxruntime", "openvino", "fastsam_export", "pynvml"})


def test_the_export_wing_loads_no_framework_before_use() -> None:
    assert not _loaded("import fastsam_export") & {"torch", "transformers", "ultralytics"}


def test_public_names_are_few_and_there() -> None:
    import fastsam_engine
    import fastsam_export
    import fastsam_trt

    for package in (fastsam_trt, fastsam_engine, fastsam_export):
        assert len(package.__all__) <= 10
        for name in package.__all__:
            assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Pipelin'"):
        fastsam_trt.Pipelin  # noqa: B018

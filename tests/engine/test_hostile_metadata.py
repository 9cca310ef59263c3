"""Test hostile specs and metadata: they raise an error of the file, in one short line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from fastsam_bench.results.results_file import read_results
from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.backends.tensorrt.plan_check import accuracy_check
from fastsam_engine.errors import FastsamError, ModelFileError
from fastsam_engine.plans.build_request import BuildOptions
from fastsam_engine.plans.plan_file import Plan, PlanFacts, read_facts, read_plan, sidecar, write_plan
from fastsam_engine.spec.model_input import TokenInput
from fastsam_engine.spec.model_spec import METADATA_KEY
from fastsam_trt.bundled_models import locate
from fastsam_trt.clip.tokenizer import TextTokenizer
from fastsam_trt.prompts.class_names import read_class_names
from fastsam_trt.results.ground_truth import GroundTruth
from support import colour_models, made_bench
from support.hostile_documents import mutated, texts

_LONGEST = 500  # characters of a message, beside the file's name
_ULTRALYTICS = {
    "task": "segment", "stride": 32, "names": {"0": "red", "1": "green", "2": "blue"}, "imgsz": [256, 256], "batch": 1,
    "args": {"dynamic": True}, "description": "exported", "version": "8.3", "channels": 3, "end2end": False,
}  # fmt: skip


def _holds(path: Path, read: Callable[[Path], object]) -> bool:
    """Whether a file can be read; if not, the error is of the project, short, on one line, and names the file."""
    try:
        read(path)
    except FastsamError as error:
        told = str(error)
        assert path.name in told
        assert len(told.replace(str(path), "")) <= _LONGEST, told[:1000]
        assert told.isprintable(), told
        return False
    return True


def _with_metadata(graph: Path) -> Callable[[dict[str, bytes]], bytes]:
    """Makes the bytes of a graph with metadata; protobuf's messages are extended by what is appended to them."""
    model = onnx.load(str(graph))
    del model.metadata_props[:]
    plain = model.SerializeToString()

    def field(number: int, data: bytes) -> bytes:
        return _varint(number << 3 | 2) + _varint(len(data)) + data

    def make(metadata: dict[str, bytes]) -> bytes:
        entries = (field(14, field(1, key.encode()) + field(2, value)) for key, value in metadata.items())
        return plain + b"".join(entries)

    return make


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _graphs() -> Iterator[Path]:
    for folder, parts in (("demo-seg", ("", "decode")), ("demo-clip", ("image", "text"))):
        for part in parts:
            yield next(Path(locate(folder)).glob(f"*{part}.onnx" if part else "*seg.onnx"))


@pytest.mark.parametrize("graph", list(_graphs()), ids=lambda path: path.stem)
def test_a_hostile_spec_is_an_error_of_its_file(tmp_path: Path, graph: Path) -> None:
    make, path = _with_metadata(graph), tmp_path / "hostile.onnx"
    good = json.loads(read_spec(graph).to_json())
    documents = [*texts(), *mutated(good, 60)]
    read = 0
    for data in documents:
        path.write_bytes(make({METADATA_KEY: data}))
        if _holds(path, read_spec):
            read += 1
            _holds(path, lambda path: open_session(path, "onnxruntime"))
    assert read < len(documents) / 2
    path.write_bytes(make({METADATA_KEY: json.dumps(good).encode()}))
    assert _holds(path, read_spec)


def test_hostile_metadata_of_ultralytics_is_an_error_of_its_file(tmp_path: Path) -> None:
    make, path = _with_metadata(find_graph("colours")), tmp_path / "hostile.onnx"
    good = {key: str(value).encode() for key, value in {**_ULTRALYTICS, "names": {0: "r", 1: "g", 2: "b"}}.items()}
    path.write_bytes(make(good))
    assert _holds(path, read_spec)
    odd = [
        b"[" * 100_000, b"-" * 50_000 + b"1", b"", b"\x00", b"\xff", b"{", b"None", b"[]", b"{}", b"{0: 'a', 0: 'b'}",
        b"{[]: 1}", b"{0: 'a', 5: 'b'}", b"{0: None}", b"{1e400: 'a'}", b"[1e400, 64]", b"{0: '\\ud800'}", b"1j",
        b"[1000000000, 1000000000]", b"[64.5, 64]", b"[0, 64]", b"[True, 64]", b"[None, 1]", b"9" * 5000, b"'x'",
        b"0x" + b"f" * 9000, b"{" + b"0: 'a', " * 300_000 + b"}",
    ]  # fmt: skip
    for key in good:
        for value in odd:
            path.write_bytes(make({**good, key: value}))
            _holds(path, read_spec)
    for value in texts():
        path.write_bytes(make({**good, "names": value}))
        _holds(path, read_spec)
    for key in ("names", "stride", "imgsz"):
        path.write_bytes(make({**good, key: b"(" * 100_000}))
        with pytest.raises(ModelFileError, match=f"under '{key}'"):
            read_spec(path)


def test_a_hostile_engine_of_ultralytics_is_an_error_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "hostile.engine"
    for data in (*texts(), *mutated(_ULTRALYTICS, 100)):
        path.write_bytes(len(data).to_bytes(4, "little") + data + b"plan")
        _holds(path, read_plan)
        _holds(path, read_spec)


def test_a_hostile_sidecar_is_an_error_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "hostile.plan"
    facts = PlanFacts("tensorrt", "11.0", "NVIDIA X (sm89)", "abc", BuildOptions(), {"detections": 1e-3})
    write_plan(path, Plan(colour_models.segmenter_spec(), facts, b"plan " * 100))
    good = json.loads(sidecar(path).read_text())
    del good["plan"]["sidecar_sha256"]
    for data in (*texts(), *mutated(good, 150)):
        sidecar(path).write_bytes(data)
        for read in (read_plan, read_facts, read_spec):
            _holds(path, read)  # type: ignore[arg-type]
    sidecar(path).write_text(json.dumps(good))
    assert _holds(path, read_plan)


def test_spoilt_bytes_of_a_graph_are_an_error_of_its_file(tmp_path: Path) -> None:
    import random

    draw, path = random.Random(0), tmp_path / "hostile.onnx"
    good = find_graph("colours").read_bytes()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.randrange(len(data))] if draw.random() < 0.3 else data)
        _holds(path, read_spec)


@pytest.mark.parametrize("name", ["names.json", "names.yaml", "names.txt"])
def test_hostile_class_names_are_an_error_of_their_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for data in (*texts(), *mutated({"names": {"0": "a", "1": "b"}}, 100), *mutated(["a", "b"], 50)):
        path.write_bytes(data)
        _holds(path, read_class_names)


def test_hostile_annotations_are_an_error_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    good = {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "red"}]}
    for data in (*texts(), *mutated(good, 200)):
        path.write_bytes(data)
        _holds(path, GroundTruth)


def test_hostile_results_are_an_error_of_their_file(tmp_path: Path) -> None:
    path = made_bench.write(tmp_path / "results.jsonl", made_bench.whole_run())
    lines = path.read_bytes().splitlines(keepends=True)
    assert _holds(path, read_results)
    index = len(lines) // 2
    for data in (*texts(), *mutated(json.loads(lines[index]), 40)):
        path.write_bytes(b"".join([lines[0], data, b"\n", lines[-1]]))
        _holds(path, read_results)


def test_a_hostile_tokenizer_is_an_error_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    shutil.copy(Path(locate("demo-clip")) / "tokenizer.json", path)
    taken = read_spec(next(Path(locate("demo-clip")).glob("*text.onnx"))).input
    assert isinstance(taken, TokenInput)
    good: Any = json.loads(path.read_text())
    for data in (*texts(), *mutated(good, 40)):
        path.write_bytes(data)
        _holds(path, lambda path: TextTokenizer(path, taken))
        _holds(path, accuracy_check._vocabulary)  # as a plan of the text tower is compared

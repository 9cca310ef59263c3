"""Models of one class: FastSAM, whose class has no meaning, and networks trained on one real class."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from fastsam_engine import find_graph, read_spec
from fastsam_engine.spec import ultralytics_metadata
from fastsam_engine.spec.spec_document import parse_spec
from fastsam_engine.spec.yolo_seg import is_fastsam
from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import locate
from fastsam_trt.cli.main import main
from fastsam_trt.results.coco import as_records
from fastsam_trt.results.label_map import label_map
from support import colour_models
from support.colour_models import scene

SHAPES = (("red", 1, 1), ("green", 1, 5), ("blue", 5, 1))
OWN = {
    "description": "Ultralytics YOLOv8n-seg model trained on mine.yaml",
    "stride": "32",
    "task": "segment",
    "imgsz": "[256, 256]",
    "args": "{'dynamic': True}",
}
FASTSAM = "Ultralytics FastSAM-s model trained on sa.yaml"


def _own_export(folder: Path, name: str, names: str, **metadata: str) -> Path:
    """A one-class file with ultralytics' metadata."""
    graph = colour_models.segmenter_graph(one_class=True)
    return colour_models.save(graph, folder / f"{name}.onnx", None, {**OWN, "names": names, **metadata})


@pytest.mark.parametrize(("name", "names", "description", "fastsam"), [
    ("best", "{0: 'person'}", OWN["description"], False),
    ("best", "{0: 'object'}", OWN["description"], False),
    ("FastSAM-s", "{0: 'object'}", OWN["description"], True),
    ("fastsam_x", "{0: 'object'}", OWN["description"], True),
    ("segment", "{0: 'object'}", FASTSAM, True),
    ("segment", "{0: 'item'}", FASTSAM, True),
    ("segment", "{0: 'crack'}", FASTSAM, False),
    ("fastsam-cracks", "{0: 'crack'}", FASTSAM, False),
    ("fast-samples", "{0: 'object'}", OWN["description"], False),
])  # fmt: skip
def test_ultralytics_metadata_tell_fastsam_from_one_class(
    tmp_path: Path, name: str, names: str, description: str, *, fastsam: bool
) -> None:
    spec = read_spec(_own_export(tmp_path, name, names, description=description))
    assert spec.is_class_agnostic == fastsam
    assert (spec.defaults["conf"], spec.defaults["iou"]) == ((0.4, 0.9) if fastsam else (0.25, 0.7))
    said = {**OWN, "names": names, "description": description, "end2end": "True"}
    end_to_end = ultralytics_metadata.read_spec(tmp_path / f"{name}.onnx", said)  # the graph takes precedence
    assert end_to_end.is_class_agnostic == fastsam
    assert (end_to_end.defaults["conf"], end_to_end.defaults["iou"]) == (0.4 if fastsam else 0.25, 1.0)


def test_fastsam_is_recognised_by_its_names() -> None:
    for origin in ("FastSAM-x.pt", "fastsam-s-fp16", "my_fast_sam", "Fast-SAM", "Ultralytics FastSAM model "):
        assert is_fastsam(("object",), "best", origin)
        assert not is_fastsam(("person",), origin)
        assert not is_fastsam((), origin)
        assert not is_fastsam(("object", "item"), origin)
    for origin in ("", "fastsample", "sam", "yolov8n-seg", "breakfast_same"):
        assert not is_fastsam(("object",), origin)


def test_a_network_of_one_class_has_labels(tmp_path: Path) -> None:
    pipe = Pipeline(_own_export(tmp_path, "best", "{0: 'person'}"), prompts=["people"])  # without CLIP
    thresholds = pipe.segmenter.thresholds
    assert (thresholds.conf, thresholds.iou, thresholds.agnostic_nms) == (0.25, 0.7, False)
    result = pipe(scene(*SHAPES))
    assert set(result.labels) == {"person"}
    assert result.prompt_ids.tolist() == [0] * len(result)
    assert len(result) >= 3
    assert {record["category_id"] for record in as_records(result, 7)} == {0}
    assert set(label_map(result).ravel().tolist()) == {0, 1}
    pipe.prompts, pipe.excluded = [], ["persons"]
    assert len(pipe(scene(*SHAPES))) == 0


def test_fastsam_has_no_labels(tmp_path: Path) -> None:
    pipe = Pipeline(_own_export(tmp_path, "segment", "{0: 'object'}", description=FASTSAM), clip="clip-colours")
    thresholds = pipe.segmenter.thresholds
    assert (thresholds.conf, thresholds.iou, thresholds.agnostic_nms) == (0.4, 0.9, True)
    result = pipe(scene(*SHAPES))
    assert set(result.labels) == {None}
    assert {record["category_id"] for record in as_records(result, 7)} == {1}
    pipe.prompts = ["people"]
    assert pipe.clip is not None  # needed for the prompt
    assert not Pipeline(find_graph("things"), agnostic_nms=False).segmenter.thresholds.agnostic_nms


def test_a_class_named_object_is_a_label(tmp_path: Path) -> None:
    result = Pipeline(_own_export(tmp_path, "best", "{0: 'object'}"))(scene(*SHAPES))
    assert set(result.labels) == {"object"}


def test_labels_in_json_lines(tmp_path: Path) -> None:
    import cv2

    model, photo, lines = _own_export(tmp_path, "best", "{0: 'person'}"), tmp_path / "a.png", tmp_path / "a.jsonl"
    cv2.imwrite(str(photo), scene(*SHAPES))
    request = ["run", "--source", str(photo), "--model", str(model), "--json", str(lines), "--prompt", "person"]
    assert main(request) == 0
    (record,) = map(json.loads, lines.read_text().splitlines())
    assert {(each["label"], each["prompt"]) for each in record["segments"]} == {("person", "person")}


def test_older_specs_without_class_agnostic(home: Path) -> None:
    """FastSAM is recognised by its class name, and thresholds stay as they were written."""
    for names, agnostic in ((("object",), True), (("person",), False), (("object", "person", "car"), False)):
        spec = dataclasses.replace(read_spec(find_graph("things" if len(names) == 1 else "colours")), class_names=names)
        document = json.loads(spec.to_json())
        del document["class_agnostic"]
        old = parse_spec(json.dumps(document))
        assert old.class_agnostic is None
        assert old.is_class_agnostic == agnostic
        assert old.defaults == spec.defaults
    things = read_spec(find_graph("things"))
    stated = dataclasses.replace(things, class_names=("object",), class_agnostic=False)
    assert not parse_spec(stated.to_json()).is_class_agnostic


def test_the_demo_model_stays_as_it_is() -> None:
    thresholds = Pipeline("demo-seg").segmenter.thresholds
    assert (thresholds.conf, thresholds.iou) == (0.4, 0.6)
    assert read_spec(Path(locate("demo-seg")) / "demo-seg.onnx").is_class_agnostic


@pytest.mark.parametrize(("file", "names", "given", "fastsam"), [
    ("best.pt", {0: "person"}, None, False),
    ("FastSAM-s.pt", {0: "object"}, None, True),
    ("best.pt", {0: "object"}, True, True),
])  # fmt: skip
def test_exports_record_class_agnostic(
    export_extra: None, tmp_path: Path, file: str, names: dict[int, str], *, given: bool | None, fastsam: bool
) -> None:
    import torch
    import ultralytics
    import yaml

    from fastsam_export import export_model

    torch.manual_seed(0)
    config = Path(ultralytics.__file__).parent / "cfg" / "models" / "v8" / "yolov8-seg.yaml"
    layout = {**yaml.safe_load(config.read_text()), "nc": 1, "scales": {"n": [0.33, 0.125, 256]}}
    (tmp_path / "small-seg.yaml").write_text(yaml.safe_dump(layout))
    yolo = ultralytics.YOLO(str(tmp_path / "small-seg.yaml"), task="segment")
    yolo.model.names = names
    yolo.save(str(tmp_path / file))
    (made, *_) = export_model(
        "mine", weights=tmp_path / file, imgsz=(64, 64), out=tmp_path / "out", class_agnostic=given
    )
    assert made.spec is not None
    assert made.spec.class_agnostic is fastsam
    assert made.spec.defaults["conf"] == (0.4 if fastsam else 0.25)
    assert read_spec(made.path) == made.spec


def test_a_fine_tuned_model_agrees_with_ultralytics(export_extra: None, shared: Path, tmp_path: Path) -> None:
    """YOLOv8n-seg with its class head reduced to one class, exported by ultralytics."""
    import cv2
    import torch
    import ultralytics
    from ultralytics.utils import ASSETS

    shutil.copy(shared / "models" / "yolov8n-seg.pt", tmp_path / "full.pt")
    network = ultralytics.YOLO(tmp_path / "full.pt").model
    head = network.model[-1]
    for branch in head.cv3:
        every = branch[-1]
        branch[-1] = torch.nn.Conv2d(every.in_channels, 1, 1)
        branch[-1].weight.data, branch[-1].bias.data = every.weight.data[:1].clone(), every.bias.data[:1].clone()
    head.nc, head.no, network.nc, network.yaml["nc"], network.names = 1, 1 + 4 * head.reg_max, 1, 1, {0: "person"}
    arguments = {"task": "segment", "imgsz": 640}
    torch.save({"model": network.float(), "train_args": arguments, "epoch": -1, "ema": None}, tmp_path / "person.pt")
    graph = ultralytics.YOLO(tmp_path / "person.pt").export(format="onnx", verbose=False)
    picture = cv2.imread(str(ASSETS / "zidane.jpg"))
    result = Pipeline(graph, prompts=["people"], precision="fp32")(picture)
    theirs = ultralytics.YOLO(graph, task="segment")(picture, verbose=False)[0]
    assert result.labels == ["person"] * len(theirs.boxes) == ["person"] * 2

"""Adopting exact models in the layouts of public hubs, without PyTorch, and running what was adopted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine import find_graph, read_spec
from fastsam_engine.errors import ModelFileError, OutputError
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.spec_document import parse_spec
from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.adopt.adopter import adopt as adopt_folder
from fastsam_export.errors import AdoptionError
from fastsam_export.family import Exported
from fastsam_trt import Pipeline
from fastsam_trt.clip.model import Clip
from fastsam_trt.prompts.text_options import DEFAULT_NEGATIVES
from support import hub_colours
from support.colour_models import scene, shape_mask
from support.typed import image_input, token_input

Adopt = Callable[..., list[Exported]]
FRAME = scene(("red", 1, 1), ("green", 5, 5))
SOURCE = AdoptedFrom("Org/model", "0123abcd", "onnx/model.onnx", "http://hub.example/Org/model", "Apache-2.0")


def _unchanged(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("whole", [True, False])
def test_clip_becomes_two_towers_of_length_one(tmp_path: Path, adopt: Adopt, whole: bool, opset: int) -> None:
    hub = tmp_path / "hub"
    hub_colours.save_clip(hub, whole=whole, opset=opset)
    before = _unchanged(hub)
    files = adopt(hub, "clip")
    assert _unchanged(hub) == before
    names = [file.path.name for file in files]
    assert names == ["clip.image.onnx", "clip.crops.onnx", "clip.text.onnx", "tokenizer.json"]
    assert sorted(path.name for path in files[0].path.parent.iterdir()) == sorted(names)
    image, text = read_spec(files[0].path), read_spec(files[2].path)
    assert (image, text) == (files[0].spec, files[2].spec)
    assert image.defaults["logit_scale"] == pytest.approx(hub_colours.SCALE if whole else 100)
    assert isinstance(image.input, ImageInput)
    assert (image.input.resize, image.input.interpolation, image.input.height) == ("shortest-edge", "bicubic", 32)
    assert text.input == TokenInput("input_ids", 16, 0)
    clip = Clip(files[0].path.parent, backend="onnxruntime")
    embeddings = clip.embed_boxes(FRAME, np.array([[0, 0, 64, 64], [128, 128, 192, 192]], np.float32))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    texts = clip.text.embed(["red", "green"], ["{}"])
    assert (embeddings @ texts.T).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_segformer_runs_as_an_export_does(tmp_path: Path, adopt: Adopt, backend: str) -> None:
    pytest.importorskip(backend)
    hub_colours.save_segformer(tmp_path / "hub", (256, 256))
    files = adopt(tmp_path / "hub", "segformer")
    assert [file.path.name for file in files] == ["segformer.onnx", "segformer.preprocess.onnx"]
    spec = read_spec(files[0].path)
    assert (spec.family, spec.class_names) == ("segformer", ("red", "green", "blue", "grey"))
    result = Pipeline(files[0].path.parent, prompts=["red", "green"], backend=backend)(FRAME)
    assert result.labels == ["red", "green"]
    for mask, cell in zip(result.masks(), ((1, 1), (5, 5)), strict=True):
        exact = shape_mask(*cell)
        assert (mask & exact).sum() / (mask | exact).sum() >= 0.9


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_detr_runs_in_one_graph_that_needs_no_mask(tmp_path: Path, adopt: Adopt, backend: str) -> None:
    pytest.importorskip(backend)
    hub_colours.save_detr(tmp_path / "hub", (256, 256))
    files = adopt(tmp_path / "hub", "detr")
    spec = read_spec(files[0].path)
    assert (spec.family, spec.input_names, spec.class_names) == (
        "detr-dense",
        ("pixel_values",),
        ("red", "green", "blue"),
    )
    assert [output.layout for output in spec.outputs] == ["N 4 4", "N 4 64 64"]
    assert (image_input(spec).height, image_input(spec).width) == (256, 256)
    result = Pipeline(files[0].path.parent, prompts=["green"], backend=backend)(FRAME)
    assert result.labels == ["green"]
    exact = shape_mask(5, 5)
    assert (result.masks()[0] & exact).sum() / (result.masks()[0] | exact).sum() >= 0.85
    assert not len(Pipeline(files[0].path.parent, prompts=["blue"], backend=backend)(FRAME))


def test_a_size_can_be_chosen_where_the_graph_leaves_it_open(tmp_path: Path, adopt: Adopt) -> None:
    hub_colours.save_detr(tmp_path / "hub")
    files = adopt(tmp_path / "hub", imgsz=(64, 160))
    assert [output.layout for output in read_spec(files[0].path).outputs] == ["N 4 4", "N 4 16 40"]
    hub_colours.save_segformer(tmp_path / "segformer")
    with pytest.raises(AdoptionError, match="imgsz: expected 8 to 8192 px in multiples of 32, found 64 x 100"):
        adopt(tmp_path / "segformer", imgsz=(64, 100))
    hub_colours.save_clip(tmp_path / "clip")
    with pytest.raises(AdoptionError, match="imgsz: expected none"):
        adopt(tmp_path / "clip", imgsz=(64, 64))


def test_siglips_scores_are_its_probability_with_other_odds(tmp_path: Path, adopt: Adopt) -> None:
    hub_colours.save_siglip(tmp_path / "hub")
    folder = adopt(tmp_path / "hub", "siglip")[0].path.parent
    clip = Clip(folder, backend="onnxruntime")
    assert not clip.default_negatives
    assert image_input(read_spec(find_graph(folder, "image"))).resize == "stretch"
    result = Pipeline("colours", clip=clip, selector="clip", prompts=["red thing"], threshold=0)(FRAME)
    assert len(result) >= 2
    crops = clip.embed_boxes(FRAME, result.boxes)
    text = clip.text.embed(["red thing"], ("a photo of a {}.", "a photo of the {}.", "{}"))[0]
    probability = 1 / (1 + np.exp(-(hub_colours.SCALE * (crops @ text) + hub_colours.BIAS)))
    expected = 9 * probability / (9 * probability + 1 - probability)
    np.testing.assert_allclose(result.similarities, expected, rtol=1e-3)
    assert result.similarities.max() > 0.5 > result.similarities.min()


def test_negatives_that_the_caller_chose_compete_with_siglips_prompts(tmp_path: Path, adopt: Adopt) -> None:
    hub_colours.save_siglip(tmp_path / "hub")
    clip = Clip(adopt(tmp_path / "hub", "siglip")[0].path.parent, backend="onnxruntime")
    plain, against = (
        Pipeline("colours", clip=clip, selector="clip", prompts=["red thing"], threshold=0, negatives=negatives)(FRAME)
        for negatives in (DEFAULT_NEGATIVES, ["red"])
    )
    assert (against.similarities < plain.similarities - 0.1).any()
    excluded = Pipeline("colours", clip=clip, selector="clip", prompts=["red thing"])(FRAME, excluded=["background"])
    assert excluded.labels == Pipeline("colours", clip=clip, selector="clip", prompts=["red thing"])(FRAME).labels


def test_an_export_of_ultralytics_keeps_its_answers(tmp_path: Path, adopt: Adopt) -> None:
    hub = tmp_path / "hub"
    hub_colours.save_ultralytics(hub / "yolo.onnx")
    files = adopt(hub, "yolo", source=AdoptedFrom("Org/yolo", "", "yolo.onnx", "http://hub.example/yolo.onnx"))
    assert [file.path.name for file in files] == ["yolo.onnx", "yolo.preprocess.onnx", "yolo.decode.onnx"]
    assert "expected a box, class and coefficient branch per level" in files[0].kept_whole
    spec = read_spec(files[0].path)
    assert spec.source.licence == "AGPL-3.0 License"  # the file's own, where the repository states none
    assert spec.source.versions["ultralytics"] == "8.4.0"
    assert (spec.source.file, spec.source.address) == ("yolo.onnx", "http://hub.example/yolo.onnx")
    adopted, original = (Pipeline(path, conf=0.5)(FRAME) for path in (files[0].path, hub / "yolo.onnx"))
    assert adopted.labels == original.labels == ["red", "green"]
    np.testing.assert_array_equal(adopted.masks(), original.masks())


def test_the_origin_is_recorded_and_read_again(tmp_path: Path, adopt: Adopt) -> None:
    hub_colours.save_segformer(tmp_path / "hub")
    spec = adopt(tmp_path / "hub")[0].spec
    assert spec is not None
    source = spec.source
    assert source.is_adopted
    assert (source.model_id, source.revision, source.file) == ("Org/model", "0123abcd", "onnx/model.onnx")
    assert (source.address, source.licence) == ("http://hub.example/Org/model", "Apache-2.0")
    assert len(source.weights_sha256) == 64
    assert source.versions.keys() == {"fastsam-trt", "onnx"}
    assert parse_spec(spec.to_json()) == spec
    assert spec.parity is not None
    assert spec.parity.inputs == ("2 drawn pictures on onnxruntime and openvino, against the original graph",)


def test_adoption_needs_no_training_framework(tmp_path: Path) -> None:
    hub_colours.save_clip(tmp_path / "clip")
    hub_colours.save_detr(tmp_path / "detr")
    hub_colours.save_ultralytics(tmp_path / "yolo" / "yolo.onnx")
    code = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "torchvision", "transformers", "ultralytics", "onnxslim", "timm"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.adopt.adopter import adopt
for name in ("clip", "detr", "yolo"):
    source = AdoptedFrom("Org/model", "", "model.onnx", "http://hub.example")
    print(len(adopt(Path(sys.argv[1], name), name=name, out=Path(sys.argv[1], "out", name), source=source)))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["4", "2", "3"]), done.stderr


def test_models_of_other_tasks_are_refused_and_nothing_is_left(tmp_path: Path, adopt: Adopt) -> None:
    hub = tmp_path / "hub"
    for make, expected in (
        (lambda: hub_colours.save_detr(hub, masks=False), "no pred_masks, so it is a graph of another task"),
        (lambda: hub_colours.change_json(hub, "config.json", model_type="whisper", architectures=["Whisper"]),
         r"found a model of type 'whisper' \(Whisper\)"),
        (lambda: hub_colours.change_json(hub, "config.json", model_type="segformer"), "expected 4 axes"),
        (lambda: hub_colours.change_json(hub, "config.json", model_type="clip"), "expected the shortest edge"),
        ((hub / "config.json").unlink, "expected CLIP, DETR panoptic, .* found neither config.json"),
        (lambda: hub_colours.save_ultralytics(hub / "onnx" / "model.onnx", task="detect"), "model of task 'detect'"),
    ):  # fmt: skip
        make()
        with pytest.raises((AdoptionError, ModelFileError), match=expected):
            adopt(hub, "bad")
    models = tmp_path / "models"
    assert not models.exists() or list(models.iterdir()) == []


def test_damaged_and_missing_files_are_named(tmp_path: Path, adopt: Adopt) -> None:
    hub = tmp_path / "hub"
    with pytest.raises(AdoptionError, match="expected a folder with the files of a repository, found none"):
        adopt(hub)
    hub.mkdir()
    with pytest.raises(AdoptionError, match="found no ONNX file; choose another precision or file"):
        adopt(hub)
    hub_colours.save_clip(hub)
    graph = hub / "onnx" / "model.onnx"
    whole = graph.read_bytes()
    for damaged, expected in (
        (whole[: len(whole) // 2], "cut short or no ONNX"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "cut short or no ONNX"),
        (b"", "empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "cut short or no ONNX"),
    ):
        graph.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=expected):
            adopt(hub)
    graph.write_bytes(whole)
    for name in ("preprocessor_config.json", "tokenizer.json"):
        kept = (hub / name).read_bytes()
        (hub / name).unlink()
        with pytest.raises(AdoptionError, match=f"{name}: expected it beside the graphs, found no such file"):
            adopt(hub)
        (hub / name).write_bytes(b"{")
        with pytest.raises(AdoptionError, match=f"{name}: expected"):
            adopt(hub)
        (hub / name).write_bytes(kept)
    (hub / "config.json").write_text("[]")
    with pytest.raises(AdoptionError, match="expected a JSON object"):
        adopt(hub)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, "expected the names of its classes under 'id2label', found none"),
        ({"a": "b"}, "expected class ids as the keys of 'id2label'"),
        ({"0": "\ud800", "1": "", "2": "", "3": ""}, "expected class names in Unicode"),
    ],
)
def test_class_names_are_needed(tmp_path: Path, adopt: Adopt, labels: object, expected: str) -> None:
    hub_colours.save_segformer(tmp_path / "hub")
    hub_colours.change_json(tmp_path / "hub", "config.json", id2label=labels)
    with pytest.raises(AdoptionError, match=expected):
        adopt(tmp_path / "hub")


def test_ids_without_a_name_are_numbered(tmp_path: Path, adopt: Adopt) -> None:
    hub_colours.save_segformer(tmp_path / "hub")
    hub_colours.change_json(tmp_path / "hub", "config.json", id2label={"3": "grey", "0": "red"})
    spec = read_spec(adopt(tmp_path / "hub")[0].path)
    assert spec.class_names == ("red", "class 1", "class 2", "grey")


def test_wrong_requests_are_refused(tmp_path: Path, adopt: Adopt) -> None:
    hub = tmp_path / "hub"
    hub_colours.save_clip(hub)
    with pytest.raises(AdoptionError, match="expected precision fp32 or fp16 or int8, found 'bf16'"):
        adopt(hub, precision="bf16")
    with pytest.raises(AdoptionError, match=r"model_fp16\.onnx: expected it in the repository, found onnx/model\.onnx"):
        adopt(hub, precision="fp16")
    for name in ("", "a/b", ".."):
        with pytest.raises(AdoptionError, match="expected a short name for the model"):
            adopt_folder(hub, name=name, out=tmp_path / "out", source=SOURCE)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a folder, found a file"):
        adopt_folder(hub, name="clip", out=tmp_path / "file", source=SOURCE)
    hub_colours.save_ultralytics(tmp_path / "yolo" / "yolo.onnx", args="{'quantize': 16}")
    with pytest.raises(AdoptionError, match="expected a graph in fp32, found one in fp16; use --precision fp16"):
        adopt(tmp_path / "yolo")


def test_an_earlier_model_stays_if_an_adoption_fails(tmp_path: Path, adopt: Adopt) -> None:
    hub = tmp_path / "hub"
    hub_colours.save_segformer(hub)
    folder = adopt(hub, "kept")[0].path.parent
    before = _unchanged(folder)
    hub_colours.change_json(hub, "config.json", id2label={"0": "one"})
    with pytest.raises(AdoptionError, match="expected 4 class names, found 1"):
        adopt(hub, "kept")
    assert _unchanged(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def test_tokens_are_padded_as_the_settings_state(tmp_path: Path, adopt: Adopt) -> None:
    hub_colours.save_clip(tmp_path / "hub")
    hub_colours.change_json(tmp_path / "hub", "tokenizer_config.json", pad_token={"content": "[EOS]"})
    assert token_input(read_spec(adopt(tmp_path / "hub")[2].path)).pad_id == 2

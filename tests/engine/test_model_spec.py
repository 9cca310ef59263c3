"""Test that ModelSpec survives a round trip, and that invalid specs are refused by field."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from fastsam_engine.spec.model_spec import ModelSpec, Parity
from fastsam_engine.spec.spec_document import parse_spec, schema_version
from support import cut_models
from support.colour_models import clip_specs, segmenter_spec
from support.typed import arrays_input


def test_specs_survive_json() -> None:
    parity = Parity(("2 photos",), {"max_abs_score": 1e-5}, {"max_abs_score": 1e-3})
    for spec in (segmenter_spec(), *clip_specs()):
        assert parse_spec(spec.to_json()) == spec
    proven = dataclasses.replace(segmenter_spec(), parity=parity)
    assert parse_spec(proven.to_json()) == proven


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: d.pop("family"), "missing field 'family'"),
        (lambda d: d.update(colour=1), "unknown field 'colour'"),
        (lambda d: d["input"].update(height="640"), "spec.input.height: expected int"),
        (lambda d: d["input"].update(resize="squash"), "spec.input.resize: expected one of"),
        (lambda d: d["input"].update(kind="sound"), "spec.input: expected kind"),
        (lambda d: d.update(input=None), "spec.input: expected kind"),
        (lambda d: d["input"].update(batch=[1]), "spec.input.batch: expected 2 items"),
        (lambda d: d.update(outputs={}), "spec.outputs: expected a list"),
        (lambda d: d["input"].update(height=10**9), "input.height: expected 1 to 32768"),
        (lambda d: d["input"].update(batch=[4, 2]), "input.batch: expected 4 to"),
        (lambda d: d["input"].update(std=[1, 0, 1]), "expected scale and std above 0"),
        (lambda d: d["outputs"][0].update(layout="N 4++5"), "expected axes such as"),
        (lambda d: d["defaults"].pop("conf"), "defaults: expected conf"),
        (lambda d: d.update(name="../x"), "name: expected a name that a file can have"),
        (lambda d: d.update(defaults=[1]), "spec.defaults: expected an object"),
        (lambda d: d.update(class_names=["a", 3]), "spec.class_names[1]: expected str"),
        (lambda d: d["input"].update(height=True), "spec.input.height: expected int"),
        (lambda d: d.update(export_id="ab"), "export_id: expected 64 hexadecimal digits, found 'ab'"),
        (lambda d: d.update(export_id="G" * 64), "export_id: expected 64 hexadecimal digits"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(change: object, where: str) -> None:
    document = json.loads(segmenter_spec().to_json())
    change(document)  # type: ignore[operator]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is held below
        parse_spec(json.dumps(document))
    assert where in str(caught.value)


def test_an_empty_export_id_is_not_written() -> None:
    """Versions without the field refuse specs that have it."""
    assert "export_id" not in json.loads(segmenter_spec().to_json())
    assert json.loads(cut_models.heads_spec(export_id="0f" * 32).to_json())["export_id"] == "0f" * 32


def test_the_origin_of_an_adopted_model_is_written_only_where_there_is_one() -> None:
    """Versions without the fields refuse specs that have them, and specs of those versions are read."""
    exported = segmenter_spec()
    assert json.loads(exported.to_json())["source"].keys() == {"model_id", "weights_sha256", "versions", "licence"}
    assert not exported.source.is_adopted
    source = dataclasses.replace(exported.source, file="onnx/model.onnx", address="http://hub.example")
    adopted = dataclasses.replace(exported, source=source)
    assert adopted.source.is_adopted
    assert json.loads(adopted.to_json())["source"].keys() >= {"file", "address"}
    assert parse_spec(adopted.to_json()) == adopted


@pytest.mark.parametrize("spec", [cut_models.trunk_spec(), cut_models.heads_spec(), cut_models.masks_spec()])
def test_specs_of_cut_graphs_survive_json(spec: ModelSpec) -> None:
    cut = dataclasses.replace(spec, export_id="0f" * 32)
    assert parse_spec(cut.to_json()) == cut
    assert parse_spec(spec.to_json()) == spec


def test_halves_are_a_dtype_of_arrays() -> None:
    taken = arrays_input(cut_models.heads_spec())
    halves: Any = tuple("float16" if dtype == "float32" else dtype for dtype in taken.dtypes)
    spec = cut_models.heads_spec(input=dataclasses.replace(taken, dtypes=halves))
    assert parse_spec(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        (cut_models.heads_spec(), "reach_cells"),
        (cut_models.masks_spec(), "reach_cells"),
        (cut_models.masks_spec(), "margin_cells"),
        (cut_models.masks_spec(), "prototypes_per_cell"),
    ],
)
def test_constants_of_parts_are_required(spec: ModelSpec, missing: str) -> None:
    defaults = {name: value for name, value in spec.defaults.items() if name != missing}
    with pytest.raises(ValueError, match=f"defaults: expected {missing}"):
        parse_spec(dataclasses.replace(spec, defaults=defaults).to_json())


def test_schema_version_is_read_before_anything_else() -> None:
    assert schema_version('{"schema_version": 7, "whatever": []}') == 7
    assert schema_version("{}") is None
    with pytest.raises(ValueError, match="expected a JSON object"):
        schema_version("[]")

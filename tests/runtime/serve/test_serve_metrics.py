"""Metrics are in Prometheus' format, and the OpenAPI document is true."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fastsam_trt import Pipeline
from fastsam_trt.serve.answer import STAGES
from fastsam_trt.serve.json_schema import check
from fastsam_trt.serve.metrics import Metrics
from fastsam_trt.serve.output import MEDIA_TYPES
from fastsam_trt.serve.problem import RequestSchemaError
from fastsam_trt.serve.request_fields import RequestFields
from support.served import PHOTO, Served, as_json, colours, form, serving

_LINE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="[^"\\\n]*",?)*\})? (\+Inf|-?[0-9.e+-]+)')


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with colours() as opened:
        yield opened


@pytest.fixture
def served(pipeline: Pipeline) -> Iterator[Served]:
    with serving(pipeline) as made:
        yield made


def _parse(text: str) -> dict[str, dict[str, float]]:
    """Values by family and by labels; checks the format."""
    assert text.endswith("\n")
    families: dict[str, dict[str, float]] = {}
    kinds: dict[str, str] = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, family, help_text = line.split(" ", 3)
            assert family not in families
            assert help_text.endswith(".")
            families[family] = {}
        elif line.startswith("# TYPE "):
            _, _, name, kinds[family] = line.split(" ")
            assert name == family
        else:
            match = _LINE.fullmatch(line)
            assert match is not None, line
            name, labels, value = match.groups()
            suffix = name.removeprefix(family)
            assert suffix in (("_bucket", "_sum", "_count") if kinds[family] == "histogram" else ("",))
            families[family][suffix + (labels or "")] = float(value)
    return families


def test_requests_images_and_stages_are_counted(served: Served) -> None:
    for _ in range(3):
        served.segment()
    served.segment(prompts="blue")
    served.segment(conf="x")
    served.get("/anything/../else")
    families = _parse(served.get("/metrics").body.decode())
    requests = families["fastsam_trt_requests_total"]
    assert requests['{path="/v1/segment",status="200"}'] == 4
    assert requests['{path="/v1/segment",status="400"}'] == 1
    assert requests['{path="other",status="404"}'] == 1
    assert families["fastsam_trt_images_total"][""] == 4
    assert families["fastsam_trt_segments_total"][""] == 6
    stages = families["fastsam_trt_stage_seconds"]
    for stage in STAGES:
        assert stages[f'_count{{stage="{stage}"}}'] == 4
        buckets = [value for name, value in stages.items() if name.startswith(f'_bucket{{stage="{stage}"')]
        assert buckets == sorted(buckets)
        assert buckets[-1] == 4
        assert 0 <= stages[f'_sum{{stage="{stage}"}}'] < 300
    assert families["fastsam_trt_request_seconds"]['_count{path="/v1/segment"}'] == 5
    assert families["fastsam_trt_queue_length"][""] == 0
    assert families["fastsam_trt_received_body_bytes_total"][""] > 4 * len(PHOTO)
    assert families["fastsam_trt_connections"][""] >= 1
    assert served.get("/metrics").headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_process_has_its_usual_metrics(served: Served) -> None:
    families = _parse(served.get("/metrics").body.decode())
    assert families["process_cpu_seconds_total"][""] > 0
    assert families["process_start_time_seconds"][""] > 1.7e9
    assert families.get("process_resident_memory_bytes", {"": 2e7})[""] > 1e7


def test_buckets_hold_what_is_at_most_their_bound() -> None:
    metrics = Metrics({})
    for ms in (0.5, 1, 1.1, 50, 60_000):
        metrics.count_image(1, {"segment": ms})
    stages = _parse(metrics.text())["fastsam_trt_stage_seconds"]
    bounds = {name.partition('le="')[2][:-2]: value for name, value in stages.items() if "le=" in name}
    assert (bounds["0.001"], bounds["0.0025"], bounds["0.05"], bounds["30"], bounds["+Inf"]) == (2, 3, 4, 4, 5)
    assert math.isclose(stages['_sum{stage="segment"}'], 60.0526)


def test_large_counts_are_exact() -> None:
    text = Metrics({"bytes_total": ("Bytes.", lambda: 123_456_789_012_345)}).text()
    assert "fastsam_trt_bytes_total 123456789012345\n" in text


def _resolved(schema: Any, document: dict[str, Any]) -> Any:
    """A schema with its references followed."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            *_, name = schema["$ref"].split("/")
            return _resolved(document["components"]["schemas"][name], document)
        return {key: _resolved(value, document) for key, value in schema.items()}
    return [_resolved(item, document) for item in schema] if isinstance(schema, list) else schema


def _conforms(value: Any, schema: dict[str, Any]) -> None:
    """Check a value against the keywords that the document's answers use."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}
    found = names[type(value)]
    assert found in kinds or (found == "integer" and "number" in kinds), (value, schema)
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for name, item in value.items():
            _conforms(item, schema["properties"][name])
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf)
        for item in value:
            _conforms(item, schema["items"])
    if isinstance(value, int | float):
        assert schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)


def test_answers_are_as_the_document_says(served: Served) -> None:
    document = served.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    responses = _resolved(document["paths"]["/v1/segment"]["post"]["responses"], document)
    segmented = responses["200"]["content"]["application/json"]["schema"]
    for masks in ("rle", "polygons", "none"):
        _conforms(served.segment(masks=masks, prompts="red", selector="clip").json(), segmented)
    for output, kind in MEDIA_TYPES.items():
        assert served.segment(output=output).headers["Content-Type"] == kind
        assert kind in responses["200"]["content"]
    model = _resolved(document["paths"]["/v1/model"]["get"]["responses"]["200"], document)
    _conforms(served.get("/v1/model").json(), model["content"]["application/json"]["schema"])
    for reply in (served.segment(conf=2), served.segment(b"x"), served.segment(boxes=[[9, 9, 9, 9]])):
        problem = responses[str(reply.status)]["content"]["application/problem+json"]["schema"]
        _conforms(reply.json(), problem)


def test_every_path_of_the_document_answers(served: Served) -> None:
    document = served.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            reply = served.send(method.upper(), path)
            assert str(reply.status) in operation["responses"], (path, reply.status)
            assert (
                reply.headers["Content-Type"].partition(";")[0] in operation["responses"][str(reply.status)]["content"]
            )


def test_the_example_of_the_document_is_answered(served: Served) -> None:
    document = served.get("/openapi.json").json()
    content = document["paths"]["/v1/segment"]["post"]["requestBody"]["content"]["application/json"]
    properties = content["schema"]["properties"]
    example = {name: schema["examples"][0] for name, schema in properties.items() if "examples" in schema}
    assert {"image", "prompts", "boxes", "points"} <= set(example)
    image = example.pop("image")
    del example["prompts"], example["excluded"]  # of classes that this model has not
    reply = served.post((as_json(b"", {**example, "image": image})[0], "application/json"))
    assert reply.status == 200


def test_fields_of_forms_and_json_differ_in_texts_only(served: Served) -> None:
    document = served.get("/openapi.json").json()
    contents = document["paths"]["/v1/segment"]["post"]["requestBody"]["content"]
    of_form, of_json = (contents[kind]["schema"] for kind in ("multipart/form-data", "application/json"))
    assert list(of_form["properties"]) == list(of_json["properties"])
    assert of_form["additionalProperties"] is False
    different = [name for name in of_form["properties"] if of_form["properties"][name] != of_json["properties"][name]]
    assert different == ["image", "prompts", "excluded", "classes"]


def test_every_schema_of_a_field_is_enforced() -> None:
    wrong = {"string": 1, "array": "x", "number": "x", "integer": 0.5}
    for name, schema in RequestFields().schemas.items():
        for value in (None, {}, wrong[schema["type"]], True):
            with pytest.raises(RequestSchemaError, match=f"^{name}: expected"):
                check(value, schema, name)


def test_the_highest_number_of_segments_is_that_of_the_server(pipeline: Pipeline) -> None:
    with serving(pipeline, max_segments=5) as served:
        assert served.post(form(PHOTO, {"max_segments": 6})).status == 400
        assert served.post(form(PHOTO, {"max_segments": 5})).status == 200

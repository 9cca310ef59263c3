"""Class names are read from text, JSON, and the YAML of data sets; invalid files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastsam_trt.cli.main import main
from fastsam_trt.errors import ClassNamesFileError
from fastsam_trt.prompts.class_names import read_class_names
from support import colour_models

NAMES = ("person", "red bus", "it's")


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".txt", "person\nred bus\nit's\n"),
        (".names", "\ufeffperson\r\nred bus\r\nit's\r\n\r\n"),
        (".json", '["person", "red bus", "it\'s"]'),
        (".json", '{"2": "it\'s", "0": "person", "1": "red bus"}'),
        (".json", '{"nc": 3, "names": {"0": "person", "1": "red bus", "2": "it\'s"}}'),
        (".yaml", "names:\n  0: person\n  1: red bus  # big\n  2: it's\n"),
        (".yaml", "path: ../coco # root\nnames:\n  0: 'person'\n  1: \"red bus\"\n  2: 'it''s'\n\ndownload: x.zip\n"),
        (".yml", "# set\nnc: 3\nnames:\n- person\n- red bus\n- it's\ntrain: images\n"),
        (".yaml", "nc: 3\nnames: ['person', red bus, \"it's\"]\n"),
        (".yaml", "names: [\n  person,  # first\n  'red bus',\n  \"it's\",\n]\n"),
        (".yaml", "names: {0: person, 1: 'red bus', 2: \"it's\"}\n"),
        (".yaml", "---\n- person\n- red bus\n- it's\n"),
    ],
)
def test_names_are_read_in_the_order_of_their_ids(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"names{suffix}"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_class_names(path) == NAMES


@pytest.mark.parametrize(
    ("suffix", "text", "found"),
    [
        (".txt", "", "found neither"),
        (".txt", "\n\n", "found neither"),
        (".json", "{", "Expecting"),
        (".json", '{"a": "b"}', "invalid literal"),
        (".json", '{"0": "a", "2": "c"}', "expected the ids 0 to 1, found 0, 2"),
        (".json", "[[1]]", "found one that is not"),
        (".json", "3", "expected a list of names"),
        (".json", "[" * 100_000, ""),
        (".yaml", "nc: 3\n", "expected '- name' or '0: name', found 'nc: 3'"),
        (".yaml", "names: coco.names\n", "found neither"),
        (".yaml", "names: [a, b\n", "after names:"),
        (".yaml", "names:\n  0: a\n  0: b\n", "expected the ids"),
    ],
)
def test_a_file_without_names_is_refused(tmp_path: Path, suffix: str, text: str, found: str) -> None:
    path = tmp_path / f"names{suffix}"
    path.write_text(text)
    with pytest.raises(ClassNamesFileError) as caught:
        read_class_names(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassNamesFileError, match="can't be read"):
        read_class_names(tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ClassNamesFileError):
        read_class_names(tmp_path / "bytes.txt")


def test_the_command_accepts_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import cv2

    graph = colour_models.save(colour_models.segmenter_graph(), tmp_path / "bare.onnx", None)
    picture, names = tmp_path / "scene.png", tmp_path / "data.yaml"
    cv2.imwrite(str(picture), colour_models.scene(("red", 2, 2)))
    names.write_text("names: [rot, blau, gruen]\n")
    request = ["run", "--video", str(picture), "--model", str(graph), "--prompt", "rot"]
    lines = tmp_path / "out.jsonl"
    assert main([*request, "--names", str(names), "--json", str(lines)]) == 0
    assert '"label":"rot"' in lines.read_text()
    assert main(request) == 2
    assert "give their names with --names FILE" in capsys.readouterr().err
    names.write_text("names: [rot, blau]\n")
    assert main([*request, "--names", str(names)]) == 2
    assert "expected 3 class names, found 2" in capsys.readouterr().err

"""Peers side by side: the protocol, the comparison and the records, with a fake peer; no framework is needed."""

# ruff: noqa: E402 - the benchmark is no package, so that its folder comes onto the path first

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_bench.report.html import make_page
from fastsam_bench.report.markdown import make_report
from fastsam_bench.results.records import Failed, Peer
from fastsam_bench.results.results_file import read_results
from support.colour_models import scene

pytest.importorskip("onnxruntime")

PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
sys.path.append(str(PEERS))

import agreement
import compare
import pins
import setup as making
from answer import Answer, boxes_of
from our_side import OurSide, Wanted
from peer_cases import PeerCase
from peer_errors import (
    DisagreementError,
    PeerDiedError,
    PeerEnvironmentError,
    PeerFailedError,
    PeerReplyError,
)
from peer_process import PeerProcess
from side_by_side import compare_case

EVERYTHING = Wanted("colours")

FAKE = """
import json, os, sys, time
sys.path.insert(0, {peers!r})
import numpy as np
import worker_protocol
from answer import Answer

class Fake:
    def open(self, **options):
        print("a library says hello")
        self.options = options
        if options.get("cannot"):
            raise ValueError("no such weights\\nand more")
        return "a fake"

    def show(self, path, **options):
        assert path.is_file(), path
        self.log("show", **options)

    def call(self):
        os.write(1, b"a compiled library says hello\\n")
        time.sleep(0.002)

    def answer(self, made):
        self.log("answer")
        return Answer.load(self.options["answer"])

    def embed(self, windows, texts):
        self.log("embed", windows=windows.tolist(), texts=texts)
        return dict(np.load(self.options["embeddings"]))

    def log(self, what, **told):
        with open(self.options["log"], "a") as file:
            file.write(json.dumps([what, told]) + "\\n")

worker_protocol.installed = lambda names: {{**names, **{changed!r}}}
worker_protocol.serve(Fake(), "ultralytics")
"""

RAW = """
import json, os, sys, time
def say(*what):
    print(*what, flush=True)
say(json.dumps({"protocol": 1, "versions": {}}))
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "time":
        %s
    say("{}")
"""


@pytest.fixture
def frame() -> np.ndarray:
    return scene(("red", 0, 0), ("blue", 4, 4), ("green", 0, 5))


@pytest.fixture
def ours() -> OurSide:
    return OurSide(EVERYTHING, "onnxruntime", "cpu", "fp32")


@pytest.fixture
def asking() -> OurSide:
    wanted = Wanted("colours", clip="clip-colours", prompt="blue")
    return OurSide(wanted, "onnxruntime", "cpu", "fp32")


class Fakes:
    """Makes fake peers, and cases that compare them with ours."""

    def __init__(self, folder: Path, frame: np.ndarray) -> None:
        self._folder, self._frame = folder, frame
        self.log = folder / "log"

    def script(self, text: str = FAKE, changed: dict[str, str] | None = None) -> Path:
        path = self._folder / "worker.py"
        path.write_text(text.format(peers=str(PEERS), changed=changed or {}) if text is FAKE else text)
        return path

    def raw(self, on_time: str) -> Path:
        return self.script(RAW % on_time)

    def options(self, answer: Answer, embeddings: tuple[np.ndarray, np.ndarray] | None = None) -> dict[str, Any]:
        answer.save(self._folder / "given.npz")
        options = {"answer": str(self._folder / "given.npz"), "log": str(self.log)}
        if embeddings is not None:
            options["embeddings"] = str(self._folder / "embeddings.npz")
            np.savez(options["embeddings"], crops=embeddings[0], texts=embeddings[1])
        return options

    def case(self, script: Path, options: dict[str, Any], wanted: Wanted = EVERYTHING) -> PeerCase:
        return PeerCase(
            "ultralytics", script, {"fake": options}, "ultralytics", "colours", wanted,
            agreement.Bounds(), {"scene": self._frame}, "all masks",
        )  # fmt: skip

    def asked(self) -> list[str]:
        return [json.loads(line)[0] for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def fakes(tmp_path: Path, frame: np.ndarray) -> Fakes:
    return Fakes(tmp_path, frame)


def _compare_case(case: PeerCase, ours: OurSide) -> list[Peer | Failed]:
    return list(compare_case(case, Path(sys.executable), {"ours": ours}, rounds=3, warmup=0))


def _shifted(answer: Answer, px: int) -> Answer:
    assert answer.masks is not None
    return replace(answer, boxes=answer.boxes + px, masks=np.roll(answer.masks, (px, px), (1, 2)))


def test_sides_that_agree_are_timed_in_turn(fakes: Fakes, ours: OurSide, frame: np.ndarray) -> None:
    script = fakes.script()
    (record,) = _compare_case(fakes.case(script, fakes.options(ours.answer(frame))), ours)
    assert isinstance(record, Peer)
    assert (record.peer, record.ours, record.model) == ("fake", "ours", "colours, scene 256x256")
    assert record.version == pins.pinned(pins.requirements("ultralytics"))["ultralytics"]
    assert record.agreement["found"] == record.agreement["counted"] == 3
    assert record.agreement["box_iou"] == record.agreement["mask_iou"] == 1
    assert record.latency_ms.p50 >= 2
    for figure, middle in ((record.latency_ms, record.latency_ms.p50), (record.ratio, record.ratio.median)):
        assert 0 < figure.low <= middle <= figure.high
    assert record.note == "all masks; a fake"


def test_a_worker_gets_the_rectangle_of_our_input(fakes: Fakes, ours: OurSide, frame: np.ndarray) -> None:
    _compare_case(fakes.case(fakes.script(), fakes.options(ours.answer(frame))), ours)
    shown = json.loads(fakes.log.read_text().splitlines()[0])
    assert shown == ["show", {"input": [256, 256]}]


@pytest.mark.parametrize("px", [6, 200])
def test_a_disagreement_stops_the_times(fakes: Fakes, ours: OurSide, frame: np.ndarray, px: int) -> None:
    options = fakes.options(_shifted(ours.answer(frame), px))
    (record,) = _compare_case(fakes.case(fakes.script(), options), ours)
    assert isinstance(record, Failed)
    assert record.id == "peer/colours/scene 256x256/fake/ours"
    assert "disagree, so their times are not compared" in record.error
    assert "the same 3 segments with boxes of IoU 0.9" in record.error


def test_masks_disagree_though_boxes_do_not(fakes: Fakes, ours: OurSide, frame: np.ndarray) -> None:
    answer = ours.answer(frame)
    assert answer.masks is not None
    hollow = answer.masks.copy()
    hollow[0, ::2] = False  # leaves about half
    (record,) = _compare_case(fakes.case(fakes.script(), fakes.options(replace(answer, masks=hollow))), ours)
    assert isinstance(record, Failed)
    assert "expected masks of IoU 0.85, found 0.4" in record.error


def test_the_same_choice_for_a_text_agrees(fakes: Fakes, asking: OurSide, frame: np.ndarray) -> None:
    answer = asking.answer(frame)
    assert answer.selected >= 0
    x0, y0, x1, y1 = answer.boxes[answer.selected].astype(int)
    assert frame[(y0 + y1) // 2, (x0 + x1) // 2].tolist() == [255, 0, 0]
    made = asking.embed(frame, asking.windows(frame, answer), ["blue"])
    wanted = Wanted("colours", clip="clip-colours", prompt="blue")
    (record,) = _compare_case(fakes.case(fakes.script(), fakes.options(answer, made), wanted), asking)
    assert isinstance(record, Peer)
    assert record.agreement["crop_cosine"] == pytest.approx(1)
    assert record.agreement["same_choice"] == 1
    assert fakes.asked() == ["show", "answer", "embed"]


def test_another_embedding_disagrees(fakes: Fakes, asking: OurSide, frame: np.ndarray) -> None:
    answer = asking.answer(frame)
    crops, texts = asking.embed(frame, asking.windows(frame, answer), ["blue"])
    wanted = Wanted("colours", clip="clip-colours", prompt="blue")
    (record,) = _compare_case(fakes.case(fakes.script(), fakes.options(answer, (crops[::-1], texts)), wanted), asking)
    assert isinstance(record, Failed)
    assert "expected embeddings of cosine 0.9995" in record.error


def test_a_peer_that_cannot_open_fails_alone(fakes: Fakes, ours: OurSide, frame: np.ndarray) -> None:
    good = fakes.options(ours.answer(frame))
    case = replace(fakes.case(fakes.script(), good), sides={"broken": {**good, "cannot": True}, "good": good})
    failed, record = _compare_case(case, ours)
    assert isinstance(failed, Failed)
    assert failed.error == "broken: 'open' failed: ValueError: no such weights"
    assert isinstance(record, Peer)
    assert record.peer == "good"


def test_other_versions_are_reported(fakes: Fakes, ours: OurSide, frame: np.ndarray) -> None:
    script = fakes.script(changed={"ultralytics": "8.0.0"})
    (record,) = _compare_case(fakes.case(script, fakes.options(ours.answer(frame))), ours)
    assert isinstance(record, Peer)
    assert record.version == "8.0.0"
    expected = pins.pinned(pins.requirements("ultralytics"))["ultralytics"]
    assert f"other versions than pinned: ultralytics: expected {expected}, found 8.0.0" in str(record.note)


def test_a_peer_that_dies_is_reported_with_its_last_output(fakes: Fakes) -> None:
    script = fakes.raw("sys.stderr.write('noise\\nMemoryError: no room\\n'); sys.stderr.flush(); os._exit(3)")
    with PeerProcess("raw", Path(sys.executable), script, {}) as peer:
        with pytest.raises(PeerDiedError, match="found that it ended with code 3: MemoryError: no room"):
            peer.time_ms()
        with pytest.raises(PeerDiedError, match="code 3"):
            peer.time_ms()


def test_a_peer_that_dies_while_timed_is_a_failure(fakes: Fakes, ours: OurSide, frame: np.ndarray) -> None:
    script = fakes.script()
    script.write_text(script.read_text().replace("time.sleep(0.002)", "time.sleep(0.002); self.calls = getattr(self, "
                      "'calls', 0) + 1; self.calls < 4 or os._exit(9)"))  # fmt: skip
    (record,) = _compare_case(fakes.case(script, fakes.options(ours.answer(frame))), ours)
    assert isinstance(record, Failed)
    assert "'time', found that it ended with code 9" in record.error


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("'hello'", "hello"),
        ("'[1]'", "[1]"),
        ('\'{"ms": "fast"}\'', "fast"),
        ("'{\"ms\": -1.5}'", "-1.5"),
        ("'{\"ms\": NaN}'", "NaN"),
        ("''", r"'\n'"),
    ],
)
def test_garbage_is_refused(fakes: Fakes, said: str, found: str) -> None:
    with (
        PeerProcess("raw", Path(sys.executable), fakes.raw(f"say({said}); continue"), {}) as peer,
        pytest.raises(PeerReplyError, match=r"raw: expected .* in answer to 'time', found") as caught,
    ):
        peer.time_ms()
    assert found in str(caught.value)


def test_a_peer_that_hangs_is_ended(fakes: Fakes) -> None:
    with PeerProcess("raw", Path(sys.executable), fakes.raw("time.sleep(60)"), {}, timeout_s=5) as peer:
        peer._timeout_s = 0.2
        with pytest.raises(PeerDiedError, match=r"none within 0\.2 s"):
            peer.time_ms()


def test_another_protocol_is_refused(fakes: Fakes) -> None:
    script = fakes.script('print(\'{"protocol": 2, "versions": {}}\', flush=True); input()')
    with pytest.raises(PeerReplyError, match="expected protocol 1 and versions"):
        PeerProcess("raw", Path(sys.executable), script, {})


def test_invalid_files_are_refused(fakes: Fakes, tmp_path: Path, frame: np.ndarray) -> None:
    bad, log = tmp_path / "bad.npz", str(fakes.log)
    np.savez(bad, boxes=np.zeros((2, 4)), scores=np.zeros(1), class_ids=np.zeros(2), selected=np.array(-1))
    with (
        PeerProcess("fake", Path(sys.executable), fakes.script(), {"answer": str(bad), "log": log}) as peer,
        pytest.raises(PeerFailedError, match="n scores, classes and masks"),
    ):
        peer.answer()
    np.savez(tmp_path / "embeddings.npz", crops=np.zeros((1, 4)), texts=np.zeros((1, 4)))
    options = {"embeddings": str(tmp_path / "embeddings.npz"), "log": log}
    with (
        PeerProcess("fake", Path(sys.executable), fakes.script(), options) as peer,
        pytest.raises(PeerReplyError, match="expected 2 crops and 1 texts"),
    ):
        peer.embed(np.zeros((2, 4), np.intp), ["blue"])


def test_no_environment_names_the_command_that_makes_it(tmp_path: Path, fakes: Fakes) -> None:
    with pytest.raises(PeerEnvironmentError, match=r"setup\.py ultralytics"):
        PeerProcess("ultralytics", tmp_path / "nothing" / "python", fakes.script(), {})


def _answer(*segments: tuple[float, float, int]) -> Answer:
    """Segments from (left px, score, class), with sides of 20 px."""
    boxes = np.array([[left, 0, left + 20, 20] for left, _, _ in segments], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in segments], np.float32)
    return Answer(boxes, scores, np.array([each[2] for each in segments], np.int32))


@pytest.mark.parametrize(
    ("theirs", "ours", "agree"),
    [
        (_answer((0, 0.9, 1)), _answer((0, 0.8, 1)), True),
        (_answer((0, 0.9, 1), (50, 0.28, 1)), _answer((0, 0.9, 1)), True),  # too near to the threshold to count
        (_answer((0, 0.9, 1)), _answer((0, 0.9, 1), (50, 0.28, 1)), True),
        (_answer((0, 0.9, 1), (50, 0.29, 1)), _answer((0, 0.9, 1), (50, 0.31, 1)), True),
        (_answer((0, 0.9, 1), (50, 0.6, 1)), _answer((0, 0.9, 1)), False),
        (_answer((0, 0.9, 1)), _answer((0, 0.9, 1), (50, 0.6, 1)), False),
        (_answer((0, 0.9, 1)), _answer((0, 0.9, 2)), False),
        (_answer((0, 0.9, 1)), _answer((4, 0.9, 1)), False),
        (_answer((0, 0.9, 1), (0, 0.8, 1)), _answer((0, 0.9, 1)), False),  # one of ours is one of theirs, once
        (_answer(), _answer(), True),
        (_answer(), _answer((0, 0.9, 1)), False),
        (_answer((0, 0.9, 1)), _answer(), False),
    ],
)
def test_matching(theirs: Answer, ours: Answer, agree: bool) -> None:
    metrics, broken = agreement.match(theirs, ours, agreement.Bounds())
    assert (not broken) is agree
    assert metrics["mask_iou"] is None
    if not agree:
        with pytest.raises(DisagreementError, match="theirs and ours disagree"):
            agreement.check("theirs", "ours", broken)


@pytest.mark.parametrize(("second", "agree"), [(0.49, True), (0.3, False)])
def test_a_choice_may_differ_only_by_a_hair(second: float, agree: bool) -> None:
    angles = np.arccos([0.5, second, 0.0])
    theirs = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    ours = theirs.copy()
    turned = np.arccos(0.51)
    ours[1] = np.cos(turned), np.sin(turned)
    text = np.array([[1, 0]], np.float32)
    metrics, broken = agreement.match_embeddings((theirs, text), (ours, text), agreement.Bounds(cosine=0.9))
    assert metrics["same_choice"] == 0
    assert (not broken) is agree


def test_answers_survive_their_file(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((3, 5, 13)) > 0.5
    answer = Answer(boxes_of(masks), np.ones(3, np.float32), np.arange(3, dtype=np.int32), masks, 2)
    answer.save(tmp_path / "answer.npz")
    again = Answer.load(tmp_path / "answer.npz")
    assert again.masks is not None
    assert (again.masks == masks).all()
    assert (again.boxes == answer.boxes).all()
    assert again.selected == 2
    none = Answer(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
    none.save(tmp_path / "none.npz")
    assert len(Answer.load(tmp_path / "none.npz")) == 0


def test_boxes_of_masks_count_from_edges() -> None:
    masks = np.zeros((2, 8, 9), np.bool_)
    masks[0, 2:5, 3:9] = True
    assert boxes_of(masks).tolist() == [[3, 2, 9, 5], [0, 0, 0, 0]]


def test_every_peer_pins_every_package() -> None:
    assert pins.PEERS == ("fastsam-clip", "transformers", "ultralytics")
    for peer in pins.PEERS:
        versions = pins.pinned(pins.requirements(peer))
        assert {"torch", "numpy", "opencv-python"} <= versions.keys()
        assert "://" not in pins.requirements(peer).read_text()


def test_a_line_that_pins_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy>=2\n")
    with pytest.raises(ValueError, match="expected NAME==VERSION, found 'numpy>=2'"):
        pins.pinned(tmp_path / "requirements.txt")


def test_differences_ignore_a_builds_suffix() -> None:
    expected = {"torch": "2.15.0", "onnx": "1.23.2", "numpy": "2.4.6"}
    assert pins.differences(expected, {"torch": "2.15.0+cu132", "numpy": "2.4.5"}) == [
        "onnx: expected 1.23.2, found not installed",
        "numpy: expected 2.4.6, found 2.4.5",
    ]


@pytest.fixture
def other_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "requirements-other.txt"
    monkeypatch.setattr(pins, "requirements", lambda peer: path)
    return path


def test_an_interpreter_is_reused_and_differences_are_printed(
    other_pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_pins.write_text(f"numpy=={np.__version__}\n")
    assert making.main(["ultralytics", "--reuse", sys.executable]) == 0
    assert "all 1 versions are as pinned" in capsys.readouterr().out
    other_pins.write_text("numpy==1.0\nno-such-package==2\n")
    assert making.main(["ultralytics", "--reuse", sys.executable]) == 1
    told = capsys.readouterr().out
    assert f"numpy: expected 1.0, found {np.__version__}" in told
    assert "no-such-package: expected 2, found not installed" in told
    assert f"compare.py ultralytics --python {sys.executable}" in told


def test_an_environment_is_made(other_pins: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other_pins.write_text("# nothing to install, so that no network is needed\n")
    assert making.main(["ultralytics", "--into", str(tmp_path / "made")]) == 0
    assert making.interpreter(tmp_path / "made").exists()
    assert f"--python {making.interpreter(tmp_path / 'made')}" in capfd.readouterr().out


def test_no_interpreter_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert making.main(["ultralytics", "--reuse", str(tmp_path / "python")]) == 2
    assert "error: expected an interpreter" in capsys.readouterr().err


def test_the_command_writes_records_for_the_reports(
    fakes: Fakes, ours: OurSide, frame: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options = fakes.options(ours.answer(frame))
    case = fakes.case(fakes.script(), options)

    def made(peer: str, args: argparse.Namespace, models: object) -> PeerCase:
        return case

    monkeypatch.setattr(compare, "make_case", made)
    command = ["compare.py", "ultralytics", "--python", sys.executable, "--rounds", "3", "--backend", "onnxruntime",
               "--precision", "auto", "fp32", "--out", str(tmp_path / "out")]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    assert compare.main() == 0
    case = fakes.case(fakes.script(), fakes.options(_shifted(ours.answer(frame), 9)))
    assert compare.main() == 1
    assert "not compared: fake and ours, onnxruntime cpu fp32, disagree" in capsys.readouterr().out
    results = read_results(tmp_path / "out" / "results.jsonl")
    assert results.notes == ()
    good, bad = results.runs
    assert not good.partial
    assert [record.ours for record in good.of(Peer)] == ["onnxruntime cpu fp32"]
    assert bad.end is not None
    assert (bad.end.cells, bad.end.failed) == (0, 1)
    for text in (make_report(results), make_page(results)):
        assert "fake" in text
        assert "colours, scene 256x256" in text


def test_the_command_without_an_environment_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PEERS / "compare.py"), "ultralytics", "--weights", str(tmp_path / "none.pt")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

"""Put `fastsam-trt serve` under load, and compare its rate with a plain loop over the same photos.

Three processes: the server, its clients, and the loop, which decodes a photo, calls the pipeline, and encodes the
answer as JSON with RLE masks. Server and loop take turns, so that a passing load affects both. Every answer is compared
with that of the loop, byte by byte. With several `--workers`, one server per number is measured.

    python benchmarks/claims/serve_load.py --model yolov8n-seg --workers 1 2 3
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from claims.common import harness
from claims.common.child_process import Child
from claims.common.photos import list_photos

# isort: split
import numpy as np

from fastsam_trt import Pipeline
from fastsam_trt.frames.image import decode_image
from fastsam_trt.serve.server import DEFAULT_WORKERS

_SHARE, _GROWTH, _P99_OVER_P50 = 0.85, 1.03, 3.0
_BOUNDARY = b"serve-load"
_START_S = 120.0
_SEGMENTS = b'"segments":'


def main() -> int:
    """Measure each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n-seg", help="segmentation model: name, folder or file")
    parser.add_argument("--photos", type=Path, nargs="+", default=[harness.SHARED / "images"], help="photos or folders")
    parser.add_argument("--prompt", action="append", default=[], metavar="TEXT", help="select this; repeatable")
    parser.add_argument("--workers", type=int, nargs="+", default=[DEFAULT_WORKERS], metavar="N", help="of the server")
    parser.add_argument("--clients", type=int, default=4, metavar="N", help="clients, each with one request (4)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="under load, in all rounds (60)")
    parser.add_argument("--rounds", type=int, default=6, metavar="N", help="turns of loop and server (6)")
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require("aiohttp")
    photos = [path.read_bytes() for path in list_photos(args.photos)]
    facts = harness.machine(("fastsam-trt", "aiohttp", "openvino", "onnxruntime", "opencv-python", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    for workers in args.workers:
        row = _measure(args, photos, workers)
        rows.append(row)
        name = f"{workers} workers"
        checks += [
            harness.Check(f"{name}: requests lost or answered wrongly, of {row['requests']}", row["wrong"], "==", 0),
            harness.Check(f"{name}: rate / rate of the loop", row["rate / loop"], ">=", _SHARE),
            harness.Check(f"{name}: resident memory at the end / after the first round", row["growth"], "<=", _GROWTH),
            harness.Check(f"{name}: p99 / p50", row["p99 ms"] / row["p50 ms"], "<=", _P99_OVER_P50),
        ]
    rows = harness.show_rows(f"{args.clients} clients for {args.seconds:g} s, {len(photos)} photos", rows)
    return harness.finish(args, facts, rows, checks)


def _measure(args: argparse.Namespace, photos: Sequence[bytes], workers: int) -> dict[str, Any]:
    turn_s = args.seconds / args.rounds
    with ExitStack() as stack:
        server = stack.enter_context(_Server(args.model, workers))
        loop = stack.enter_context(Child(_make_loop, args.model, tuple(args.prompt), tuple(photos)))
        expected = loop.ask("segments")
        clients = stack.enter_context(
            Child(_make_clients, server.port, args.clients, tuple(args.prompt), tuple(photos), expected)
        )
        for side in (loop, clients):
            side.ask(min(turn_s, 3.0))  # not counted
        ratios, loop_rates, rates, ms, resident = [], [], [], list[float](), []
        wrong = 0
        for _ in range(args.rounds):
            loop_rates.append(loop.ask(turn_s))
            found = clients.ask(turn_s)
            rates.append(len(found["ms"]) / found["seconds"])
            ratios.append(rates[-1] / loop_rates[-1])
            ms += found["ms"]
            wrong += found["wrong"]
            resident.append(server.resident_mb())
        exit_code = server.end()
        answered = server.answered
    return {
        "workers": workers,
        "requests": len(ms) + wrong,
        "wrong": wrong + (exit_code != 0),
        "requests/s": float(np.median(rates)),
        "loop/s": float(np.median(loop_rates)),
        "rate / loop": float(np.median(ratios)),
        "p50 ms": float(np.percentile(ms, 50)),
        "p99 ms": float(np.percentile(ms, 99)),
        "max ms": max(ms),
        "MB": resident[-1],
        "growth": resident[-1] / resident[0],
        "answered 200": answered,
    }


class _Server:
    """The command in its own process."""

    def __init__(self, model: str, workers: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = (sys.executable, "-m", "fastsam_trt", "serve", "--model", model, "--workers", str(workers))
        self._process = subprocess.Popen([*command, "--port", str(self.port)])
        self.answered = 0

    def __enter__(self) -> Self:
        deadline_s = time.monotonic() + _START_S
        while self._get("/readyz")[0] != http.client.OK:
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise harness.BenchmarkError("the server did not start; its own error is above")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def resident_mb(self) -> float:
        """Resident memory of the process, MB."""
        metrics = self._get("/metrics")[1]
        answered = re.search(r'fastsam_trt_requests_total{path="/v1/segment",status="200"} (\d+)', metrics)
        self.answered = int(answered[1]) if answered else 0
        return float(re.findall(r"^process_resident_memory_bytes (\S+)$", metrics, re.MULTILINE)[0]) / 1e6

    def end(self) -> int:
        """End it as a service manager does; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_START_S)

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_START_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()


def _make_loop(model: str, prompts: tuple[str, ...], photos: tuple[bytes, ...]) -> Callable[[Any], Any]:
    """A loop over the photos: asked for `segments`, the end of each answer; asked for seconds, photos per second."""
    pipeline = Pipeline(model)

    def answer(photo: bytes) -> bytes:
        result = pipeline.process(decode_image(photo, "photo"), prompts=prompts)
        record = result.to_dict()
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()

    def work(request: Any) -> Any:
        if request == "segments":
            return [answer(photo).partition(_SEGMENTS)[2] for photo in photos]
        start_s, done = time.perf_counter(), 0
        while time.perf_counter() - start_s < request:
            answer(photos[done % len(photos)])
            done += 1
        return done / (time.perf_counter() - start_s)

    return work


def _make_clients(
    port: int, count: int, prompts: tuple[str, ...], photos: tuple[bytes, ...], expected: Sequence[bytes]
) -> Callable[[float], dict[str, Any]]:
    """Clients that send one request after the other, each on its own connection: asked for seconds, their times."""
    bodies = [_form(photo, prompts) for photo in photos]
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY.decode()}"}

    def client(number: int, end_s: float) -> tuple[list[float], int]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_START_S)
        ms, wrong, turn = list[float](), 0, number
        while time.perf_counter() < end_s:
            index = turn % len(bodies)
            turn += 1
            start_s = time.perf_counter()
            try:
                connection.request("POST", "/v1/segment", bodies[index], headers)
                answer = connection.getresponse()
                body = answer.read()
            except OSError:
                connection.close()
                wrong += 1
                continue
            if answer.status == http.client.OK and body.partition(_SEGMENTS)[2] == expected[index]:
                ms.append((time.perf_counter() - start_s) * 1e3)
            else:
                wrong += 1
        connection.close()
        return ms, wrong

    def work(seconds: float) -> dict[str, Any]:
        start_s = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            found = list(pool.map(client, range(count), [start_s + seconds] * count))
        return {
            "ms": [value for ms, _ in found for value in ms],
            "wrong": sum(wrong for _, wrong in found),
            "seconds": time.perf_counter() - start_s,
        }

    return work


def _form(photo: bytes, prompts: Sequence[str]) -> bytes:
    parts = [b'name="prompts"\r\n\r\n' + prompt.encode() for prompt in prompts]
    parts.append(b'name="image"; filename="photo"\r\n\r\n' + photo)
    head = b"--" + _BOUNDARY + b"\r\nContent-Disposition: form-data; "
    return b"\r\n".join([*(head + part for part in parts), b"--" + _BOUNDARY + b"--\r\n"])


if __name__ == "__main__":
    harness.entry(main)

"""Recordings in a real browser: they play to their end with the right frames."""

from __future__ import annotations

import asyncio
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support import headless_chromium
from support.made_recordings import image_of, killed, record, write_source

PLAY = """
new Promise((done) => {
  const video = document.createElement('video');
  video.muted = true;
  video.onerror = () => done({error: video.error.message});
  video.onended = () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const drawn = canvas.getContext('2d');
    drawn.drawImage(video, 0, 0);
    const colour = (x) => [...drawn.getImageData(x * canvas.width, canvas.height / 2, 1, 1).data].slice(0, 3);
    done({size: [canvas.width, canvas.height], ended_s: video.currentTime, left: colour(0.25), right: colour(0.75),
          sound: video.webkitAudioDecodedByteCount > 0});
  };
  document.body.append(video);
  video.src = 'NAME';
  video.play();
})
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the test's folder."""
    if headless_chromium.find_chromium() is None:
        pytest.skip(f"no browser: none of {', '.join(headless_chromium.NAMES)} is installed")
    (tmp_path / "page.html").write_text("<!doctype html><title>a page</title><body>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def _play(site: str, folder: Path, names: list[str]) -> dict[str, dict[str, object]]:
    async def browse() -> dict[str, dict[str, object]]:
        async with headless_chromium.open_tab(folder / "profile", f"{site}page.html") as tab:
            return {name: await tab.evaluate(PLAY.replace("NAME", name)) for name in names}

    return asyncio.run(browse())


def test_recordings_play_to_their_end_with_the_right_frames(site: str, tmp_path: Path) -> None:
    names = [f"{name}{suffix}" for suffix in (".mp4", ".webm", ".mkv") for name in ("whole", "killed")]
    for name in names:
        if name.startswith("killed"):
            killed(tmp_path / name)
        else:
            record(tmp_path / name, 25, [index / 25 for index in range(100)])
    found = _play(site, tmp_path, names)
    last = image_of(99)[0]
    for name in names:
        each = found[name]
        assert "error" not in each, (name, each)
        assert each["size"] == [128, 96]
        assert each["ended_s"] == pytest.approx(4.0, abs=0.06 if name.startswith("whole") else 0.9)
        tolerance = 6 if name.startswith("whole") else 50  # the last images of a killed run are lost
        assert np.allclose(each["left"], last[30], atol=tolerance), name
        assert np.allclose(each["right"], last[90], atol=tolerance), name


def test_colours_odd_sizes_and_sound_in_a_browser(site: str, tmp_path: Path) -> None:
    image = np.zeros((61, 83, 3), np.uint8)
    image[:, :40] = (0, 0, 255)
    image[:, 40:] = (200, 60, 30)
    names = [f"out{suffix}" for suffix in (".mp4", ".webm", ".mov")]
    source = write_source(tmp_path / "source.mp4", "ac3")
    for name in names:
        record(tmp_path / name, 25, [index / 25 for index in range(50)], images=[image] * 50, sound=source)
    for name, each in _play(site, tmp_path, names).items():
        assert each["size"] == [84, 62]
        assert each["sound"], name
        assert np.allclose(each["left"], (255, 0, 0), atol=12), name
        assert np.allclose(each["right"], (30, 60, 200), atol=12), name

"""Video formats that can be written, by file suffix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import is_written_in_place

_X264 = {"preset": "ultrafast", "crf": "23", "forced-idr": "1"}
_FRAGMENTED = {
    "movflags": "empty_moov+default_base_moof+skip_trailer",
    "frag_duration": "1",  # a fragment per frame; frag_every_frame gives sound wrong times
}
_SHORT_CLUSTERS = {"cluster_time_limit": "500"}  # ms: Matroska writes whole clusters; a killed run loses the last one


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How to write a kind of video file.

    Attributes:
        muxer: FFmpeg's name of the container.
        encoder: FFmpeg's name of the video encoder.
        pixel_format: Input format of the encoder.
        options: Options of the encoder.
        muxer_options: Options of the container. They keep the file of a killed run playable.
        tick_s: Time base of the container, s; None if it stores no timestamps: the interval between frames.
        least_ticks: Shortest time between two frames.
        full_range: Whether colours are full-range BT.601, as in JPEG, instead of limited-range BT.709.
        align_px: Width and height are multiples of this.
        copied_sounds: FFmpeg's names of the audio codecs that are copied without re-encoding; None: all.
        sound_encoder: The encoder for other audio codecs; None: no sound.
        fast_start: Whether the finished file is rewritten with its index in front.
    """

    muxer: str
    encoder: str = "libx264"
    pixel_format: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: _X264)
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    tick_s: Fraction | None = Fraction(1, 90_000)
    least_ticks: int = 1
    full_range: bool = False
    align_px: int = 2
    copied_sounds: frozenset[str] | None = frozenset()
    sound_encoder: str | None = "aac"
    fast_start: bool = False


_MP4 = VideoFormat(
    "mp4", muxer_options=_FRAGMENTED, copied_sounds=frozenset({"aac", "mp3", "opus", "flac"}), fast_start=True
)
FORMATS: Mapping[str, VideoFormat] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": VideoFormat(
        "mov", muxer_options=_FRAGMENTED, copied_sounds=frozenset({"aac", "mp3", "alac"}), fast_start=True
    ),
    ".mkv": VideoFormat("matroska", muxer_options=_SHORT_CLUSTERS, tick_s=Fraction(1, 1000), copied_sounds=None),
    ".webm": VideoFormat(
        "webm",
        encoder="libvpx-vp9",
        options={"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "32", "b": "0", "row-mt": "1"},
        muxer_options=_SHORT_CLUSTERS,
        tick_s=Fraction(1, 1000),
        copied_sounds=frozenset({"opus", "vorbis"}),
        sound_encoder="libopus",
    ),
    ".avi": VideoFormat(
        "avi",
        encoder="mjpeg",
        pixel_format="yuvj420p",
        options={"qmin": "3", "qmax": "3"},
        tick_s=None,
        full_range=True,
        copied_sounds=frozenset({"mp3", "ac3"}),
        sound_encoder="libmp3lame",
    ),
    ".ts": VideoFormat("mpegts", copied_sounds=frozenset({"mp3", "ac3"})),
    ".gif": VideoFormat(
        "gif",
        encoder="gif",
        pixel_format="pal8",
        options={},
        tick_s=Fraction(1, 100),
        least_ticks=2,  # browsers show shorter frames at 10 frames per second
        align_px=1,
        sound_encoder=None,
    ),
}
"""Formats by suffix, in the order in which messages list them."""


def format_of(path: Path) -> VideoFormat:
    """The format of a path, by its suffix; fragmented MP4 for a pipe or device without a known suffix.

    Raises:
        OutputError: The suffix is unknown, or this FFmpeg lacks the encoder.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS and is_written_in_place(path):
        suffix = ".mp4"
    if suffix not in FORMATS:
        raise OutputError(path, f"expected a suffix among {', '.join(FORMATS)}, found {path.suffix!r}")
    if not _has_encoder(FORMATS[suffix]):
        working = [known for known, form in FORMATS.items() if _has_encoder(form)]
        raise OutputError(
            path,
            f"expected the encoder {FORMATS[suffix].encoder}, found an FFmpeg without it",
            f"choose a suffix among {', '.join(working)}" if working else "run: pip install av",
        )
    return FORMATS[suffix]


def _has_encoder(form: VideoFormat) -> bool:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec(form.encoder, "w")
    except UnknownCodecError:
        return False
    return True

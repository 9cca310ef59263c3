"""Image files: every format is read upright, by content and not by name; other files are named in the error."""

from __future__ import annotations

import io
import logging
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt import errors, open_source
from fastsam_trt.errors import ImageSizeError, SourceUnreadableError
from fastsam_trt.frames import file_type, pillow_reader, tiff_pages
from fastsam_trt.frames.file_type import sniff, sniff_file
from fastsam_trt.frames.image import as_bgr, decode_image, read_image

_UPRIGHT = np.zeros((48, 80, 3), np.uint8)  # RGB; its eight orientations all differ
_UPRIGHT[:24, :40], _UPRIGHT[:24, 40:], _UPRIGHT[24:, :40] = (230, 20, 20), (20, 230, 20), (20, 20, 230)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _encode(image: Image.Image | np.ndarray, form: str, **options: object) -> bytes:
    if form == "HEIF":
        pytest.importorskip("pillow_heif", reason="pillow-heif is not installed").register_heif_opener()
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, form, **options)
    return file.getvalue()


def _noise(*shape: int, top: int = 256, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, top, shape).astype(dtype)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_photos_are_upright(form: str, orientation: int) -> None:
    image = Image.fromarray(_UPRIGHT)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode_image(_encode(image, form, exif=exif.tobytes()), "photo")
    assert found.shape == _UPRIGHT.shape
    assert np.abs(found[..., ::-1].astype(int) - _UPRIGHT).mean() < 6


def _deep_tiff(picture: np.ndarray, orientation: int) -> bytes:
    """(H, W, 3) uint16 RGB as a TIFF of one strip, which no installed library writes with an orientation."""
    height, width = picture.shape[:2]
    bits_at = 8 + 2 + 12 * 9 + 4
    tags = ((256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, bits_at), (262, 3, 1, 2), (273, 4, 1, bits_at + 6),
            (274, 3, 1, orientation), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, picture.nbytes))  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return head + bytes(4) + struct.pack("<HHH", 16, 16, 16) + picture.astype("<u2").tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_tiffs_are_upright(orientation: int) -> None:
    """16-bit colours are decoded by OpenCV, those of 8 bits by Pillow."""
    image = Image.fromarray(_UPRIGHT)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    data = _deep_tiff(np.asarray(image).astype(np.uint16) * 257 + 100, orientation)
    np.testing.assert_array_equal(decode_image(data, "x")[..., ::-1], _UPRIGHT)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "PPM", "JPEG2000", "HEIF"])
@pytest.mark.parametrize("name", ["photo", "photo.txt", "photo.mp4", "photo.png"])
def test_the_file_name_is_ignored(tmp_path: Path, form: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(_encode(_UPRIGHT, form))
    assert sniff_file(path).image_format == form
    found = read_image(path)
    assert np.abs(found[..., ::-1].astype(int) - _UPRIGHT).mean() < 6


def test_every_pixel_format_becomes_bgr() -> None:
    colour, grey, alpha = _noise(20, 30, 3), _noise(20, 30), _noise(20, 30)
    palette = Image.fromarray(colour).quantize(16)
    with_alpha, two = Image.fromarray(np.dstack([colour, alpha])), Image.fromarray(grey).convert("1")
    grey_alpha = Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
    for image, wanted, forms in (
        (palette, palette.convert("RGB"), ("PNG", "TIFF", "GIF", "BMP")),
        (with_alpha, colour, ("PNG", "TIFF", "BMP")),
        (grey_alpha, grey, ("PNG", "TIFF")),
        (two, two.convert("L"), ("PNG", "TIFF", "BMP", "PPM")),
        (Image.fromarray(grey), grey, ("PNG", "TIFF", "BMP", "PPM", "JPEG2000")),
        (Image.fromarray(colour).convert("CMYK"), colour, ("TIFF",)),
    ):
        wanted_bgr = np.asarray(Image.fromarray(np.asarray(wanted)).convert("RGB"))[..., ::-1]
        for form in forms:
            np.testing.assert_array_equal(decode_image(_encode(image, form), form), wanted_bgr, err_msg=form)
    exact = _encode(with_alpha, "WEBP", lossless=True, exact=True)
    np.testing.assert_array_equal(decode_image(exact, "x"), colour[..., ::-1])
    cmyk = decode_image(_encode(Image.fromarray(_UPRIGHT).convert("CMYK"), "JPEG", quality=95), "x")
    assert np.abs(cmyk[..., ::-1].astype(int) - _UPRIGHT).mean() < 6


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm", ".pgm"])
def test_sixteen_bits_are_rounded(suffix: str) -> None:
    deep = _noise(20, 30, *(() if suffix == ".pgm" else (3,)), top=65536, dtype=np.uint16)
    data = cv2.imencode(suffix, deep)[1].tobytes()
    np.testing.assert_array_equal(decode_image(data, "x"), as_bgr(deep))


def test_every_page_of_a_16_bit_tiff_is_read(tmp_path: Path) -> None:
    deep = _noise(3, 20, 30, 3, top=65536, dtype=np.uint16)
    data = cv2.imencodemulti(".tiff", list(deep))[1].tobytes()
    (tmp_path / "x.tif").write_bytes(data)
    for opened in (io.BytesIO(data), (tmp_path / "x.tif").open("rb")):
        with pillow_reader.PillowReader(opened, sniff(data), "x") as file:
            assert file.count == 3
            for number in (0, 2, 1):
                np.testing.assert_array_equal(as_bgr(file.read(number)), as_bgr(deep[number]))
    assert (tmp_path / "x.tif").read_bytes() == data


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "PPM", "JPEG2000", "HEIF"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_truncated_images_are_refused(form: str, kept: float) -> None:
    data = _encode(cv2.resize(_noise(60, 80, 3), (320, 240)), form)
    with pytest.raises(SourceUnreadableError, match="expected an image") as caught:
        decode_image(data[: int(len(data) * kept)], "half")
    assert "'half'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0" + b"\xff\xd9"}])
def test_an_incomplete_download_is_refused(options: dict[str, object]) -> None:
    """It ends in zeros, or has only its thumbnail's end marker; decoders would fill the rest with grey."""
    data = _encode(cv2.resize(_noise(60, 80, 3), (640, 480)), "JPEG", **options)
    half = len(data) // 2
    for broken in (data[:half], data[:half] + bytes(half)):
        with pytest.raises(SourceUnreadableError, match="a JPEG that is cut short"):
            decode_image(broken, "x")
    assert decode_image(data + b"some bytes of the camera's maker", "x").shape == (480, 640, 3)


def _png_bomb(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")


def _patched(form: str, width: int, height: int) -> bytes:
    """A small image whose header declares another size."""
    data = bytearray(_encode(np.zeros((48, 80), np.uint8), form))  # modified in place
    if form == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif form == "BMP":
        struct.pack_into("<ii", data, 18, width, height)
    elif form == "PPM":
        data = data.replace(b"80 48", f"{width} {height}".encode())
    elif form == "TIFF":
        (start,) = struct.unpack_from("<I", data, 4)
        struct.pack_into("<HIII", data, start + 2 + 2, 4, 1, width, 0)
        struct.pack_into("<HH", data, start + 2, 256, 4)
        struct.pack_into("<HHII", data, start + 14, 257, 4, 1, height)
    elif form == "GIF":
        struct.pack_into("<HH", data, 6, width, height)
    return bytes(data)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM", "TIFF", "GIF"])
def test_a_decompression_bomb_is_refused_before_decoding(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    side = 60_000
    data = _png_bomb(side, side) if form == "PNG" else _patched(form, side, side)
    with pytest.raises(ImageSizeError, match="at most 200 million pixels, found 60000 x 60000; scale it down"):
        decode_image(data, "bomb")


def test_the_old_name_of_the_size_error_warns() -> None:
    with pytest.warns(
        DeprecationWarning, match=r"PictureSizeError is now fastsam_trt\.errors\.ImageSizeError"
    ) as caught:
        assert errors.PictureSizeError is ImageSizeError
    assert caught[0].filename == __file__


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "JPEG2000", "HEIF", "PNG"])
def test_every_format_has_the_size_limit(form: str) -> None:
    data = _encode(_UPRIGHT, form)
    assert decode_image(data, "x", max_pixels=80 * 48).shape == (48, 80, 3)
    with pytest.raises(ImageSizeError, match="found 80 x 48"):
        decode_image(data, "x", max_pixels=80 * 48 - 1)


def test_a_jpeg_whose_scans_would_take_minutes_is_refused() -> None:
    data = _encode(_UPRIGHT, "JPEG", progressive=True)
    assert decode_image(data, "x").shape == (48, 80, 3)
    last = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(SourceUnreadableError, match="a JPEG of at most 100 scans, found 210; save it again"):
        decode_image(data[:-2] + last * 200 + data[-2:], "x")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PK\3\4" + bytes(60), "a ZIP archive"),
        (b"<!DOCTYPE html><html>not found</html>", "an HTML page"),
        (b"  <?xml version='1.0'?><svg/>", "an SVG"),
        ("grüße, welt\n".encode() * 400, "text"),
        ("gr\u00fc\u00dfe\n".encode("latin-1") * 30, "text"),
        (b"\xff\xfeh\0i\0", "text"),
        (b"#EXTM3U\n#EXTINF:1,\na.ts\n", "a playlist"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomavc1", "an MP4 video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "an MP4 video"),
        (b"\0\0\0\x1cftypcrx \0\0\0\1crx isom", r"a camera's raw file \(CR3\)"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom", r"audio \(M4A\)"),
        (b"RIFF\x24\0\0\0AVI LIST", "an AVI video"),
        (b"RIFF\x24\0\0\0WAVEfmt ", r"audio \(WAV\)"),
        (b"\x1aE\xdf\xa3" + bytes(60), "a Matroska or WebM video"),
        (b"OggS\0\2" + bytes(22) + b"\x80theora", "an Ogg video"),
        (b"OggS\0\2" + bytes(22) + b"\x01vorbis", r"audio \(Ogg\)"),
        (b"ID3\4" + bytes(60), r"audio \(MP3\)"),
        (b"\xff\xfb\x90\x64" + bytes(60), r"audio \(MP3 or AAC\)"),
        ((b"\x47" + bytes(187)) * 5, "an MPEG transport stream"),
        ((bytes(4) + b"\x47" + bytes(187)) * 5, "an MPEG transport stream"),
        (b"\0\0\1\xba\x44" + bytes(60), "an MPEG program stream"),
        (b"\xff\x0a\0\0", "a JPEG XL"),
        (b"BM is how this text begins", "text"),
        (b"P3 is how this text begins", "text"),
        (bytes(range(256)), "a file of an unknown kind"),
    ],
)
def test_other_files_are_named(data: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(SourceUnreadableError, match=f"expected an image, found {found}$"):
        read_image(path)


def test_brands_tell_images_from_videos() -> None:
    def box(major: bytes, *others: bytes) -> bytes:
        body = b"ftyp" + major + bytes(4) + b"".join(others)
        return struct.pack(">I", len(body) + 4) + body

    assert sniff(box(b"mif1", b"miaf", b"avif")).image_format == "AVIF"
    assert sniff(box(b"mif1", b"heic", b"miaf")).image_format == "HEIF"
    assert sniff(box(b"heic", b"mif1")).image_format == "HEIF"
    assert sniff(box(b"avis", b"msf1", b"avif")).kind == "animation"
    assert sniff(box(b"isom", b"mif1", b"heic")).kind == "video"


def test_animations_are_told_from_still_images(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), 80 * i, np.uint8)) for i in range(3)]
    for form, rest in (("PNG", frames[1:]), ("WEBP", frames[1:]), ("AVIF", frames[1:]), ("GIF", frames[1:])):
        assert sniff(_encode(frames[0], form, save_all=True, append_images=rest)).kind == "animation"
    for form in ("PNG", "WEBP", "AVIF"):
        assert sniff(_encode(frames[0], form)).kind == "image"
    long = tmp_path / "long.png"
    data = _encode(frames[0], "PNG", save_all=True, append_images=frames[1:], icc_profile=_noise(40_000).tobytes())
    long.write_bytes(data)
    assert data.index(b"acTL") > file_type.HEAD_B or data.index(b"iCCP") > data.index(b"acTL")
    assert sniff_file(long).kind == "animation"


def test_the_first_of_several_images_is_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    pages = [Image.fromarray(np.full((8, 8, 3), 80 * i, np.uint8)) for i in range(3)]
    for form in ("TIFF", "GIF", "PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = _encode(pages[0], form, save_all=True, append_images=pages[1:], **options)
        with caplog.at_level(logging.WARNING):
            found = decode_image(data, "many")
        assert not found.any(), form
        assert caplog.messages == ["many holds 3 images; only the first is used"]
        caplog.clear()


def test_a_tiff_with_lost_pages_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    data = cv2.imencodemulti(".tif", [_noise(40, 60, 3)] * 3)[1].tobytes()
    for end in range(len(data) // 3, len(data), len(data) // 7):
        path.write_bytes(data[:end])
        with pytest.raises(SourceUnreadableError):
            decode_image(data[:end], "cut")
        with pytest.raises(SourceUnreadableError), open_source(path) as source:
            list(source)


def test_thumbnails_in_a_tiff_are_no_pages() -> None:
    pages = [_noise(40, 60, 3), _noise(20, 30, 3), _noise(40, 60, 3)]
    data = bytearray(_encode(pages[0], "TIFF", save_all=True, append_images=[Image.fromarray(p) for p in pages[1:]]))
    whole = tiff_pages.find_pages(io.BytesIO(data))
    assert (whole.numbers, whole.whole) == ((0, 1, 2), True)
    entry = whole.offsets[1] + 2
    struct.pack_into("<HHII", data, entry, 254, 4, 1, 1)  # replaces its first tag
    assert tiff_pages.find_pages(io.BytesIO(data)).numbers == (0, 2)
    only = bytearray(data)
    struct.pack_into("<I", only, 4, whole.offsets[1])
    (count,) = struct.unpack_from("<H", only, whole.offsets[1])
    struct.pack_into("<I", only, entry + 12 * count, 0)
    with pytest.raises(SourceUnreadableError, match="no page, only reduced copies"):
        decode_image(bytes(only), "raw.nef")


def test_endless_lists_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(_encode(_UPRIGHT, "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    end = start + 2 + 12 * count
    for wrong in (start, len(data) + 999):
        struct.pack_into("<I", data, end, wrong)
        found = tiff_pages.find_pages(io.BytesIO(data))
        assert (len(found.offsets), found.whole) == (1, False)
    monkeypatch.setattr(tiff_pages, "MAX_PAGES", 1)
    pages = _encode(_UPRIGHT, "TIFF", save_all=True, append_images=[Image.fromarray(_UPRIGHT)])
    with pytest.raises(SourceUnreadableError, match="expected at most 1 pages, found more"):
        decode_image(pages, "x")


def test_tiffs_of_other_depths_are_named_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: dict[str, np.ndarray] = {"float32": np.zeros((8, 8, 3), np.float32), "float64": np.zeros((8, 8, 3))}
    encoded = {kind: cv2.imencode(".tiff", picture)[1].tobytes() for kind, picture in pictures.items()}
    encoded["int32"] = _encode(Image.fromarray(np.zeros((8, 8), np.int32)), "TIFF")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    for kind, data in encoded.items():
        with pytest.raises(SourceUnreadableError, match=f"8 or 16 bits per channel, found {kind}$"):
            decode_image(data, "x")


def test_big_tiffs_are_read() -> None:
    pages = [_noise(40, 60, 3), _noise(20, 30, 3)]
    data = _encode(pages[0], "TIFF", save_all=True, append_images=[Image.fromarray(pages[1])], big_tiff=True)
    assert data.startswith(b"II+\0")
    with pillow_reader.PillowReader(io.BytesIO(data), sniff(data), "x") as file:
        assert file.count == 2
        np.testing.assert_array_equal(file.read(1), pages[1][..., ::-1])


def test_a_heic_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PackagesMissingError, match=r"pip install 'fastsam-trt\[heic\]'"):
        decode_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "x.heic")


def test_devices_are_no_images() -> None:
    with pytest.raises(SourceUnreadableError, match="found a device"):
        read_image(Path("/dev/zero"))

"""Images of any kind as frames: what has one meaning is converted, the rest is refused with the way out."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fastsam_trt.errors import ImageFormatError, ImageSizeError, ImageTypeError, OptionError, TensorFormatError
from fastsam_trt.frames import image_like, pillow_reader
from fastsam_trt.frames.image_like import as_frame
from support.made_tensors import DeviceTensor, HostTensor

BGR = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
RGB = np.ascontiguousarray(BGR[..., ::-1])
GREY = BGR[..., 0].copy()
ALPHA = np.full((5, 7, 1), 9, np.uint8)
CHW = np.ascontiguousarray(RGB.transpose(2, 0, 1))


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("image", "colours"),
    [
        (BGR, None),
        (BGR, "bgr"),
        (RGB, "rgb"),
        (_read_only(BGR), None),
        (_read_only(RGB), "rgb"),
        (np.asfortranarray(BGR), None),
        (np.asfortranarray(RGB), "rgb"),
        (RGB[..., ::-1], None),
        (BGR[..., ::-1], "rgb"),
        (RGB[::-1, ::-1].copy()[::-1, ::-1], "rgb"),
        (np.repeat(BGR, 2, axis=1)[:, ::2], None),
        (np.concatenate([BGR, ALPHA], axis=2), None),
        (np.concatenate([RGB, ALPHA], axis=2), "rgb"),
        (BGR.astype(np.uint16) * 257, None),
        (RGB.astype(np.uint16) * 257, "rgb"),
        (BGR.astype(">u2") * np.uint16(257), None),
        (BGR / 255, "bgr"),
        (RGB / 255, "rgb"),
        ((RGB / 255).astype(np.float32), "rgb"),
        ((RGB / 255).astype(np.float16), "rgb"),
        ((RGB / 255).astype(">f8"), "rgb"),
        (np.asfortranarray(RGB / 255), "rgb"),
        (np.concatenate([RGB, ALPHA], axis=2) / 255, "rgb"),
        (BGR / 255 + np.where(BGR == 255, 0.001, -0.001), "bgr"),  # what resizing adds to the ends of the range
        (BGR.view(np.memmap), None),
    ],
)
def test_arrays_in_colour(image: np.ndarray, colours: Any) -> None:
    frame = as_frame(image, colours)
    np.testing.assert_array_equal(frame, BGR)
    assert type(frame) is np.ndarray
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous


@pytest.mark.parametrize("colours", [None, "bgr", "rgb"])
@pytest.mark.parametrize(
    "image",
    [GREY, GREY[..., None], GREY / 255, (GREY / 255)[..., None], GREY.astype(np.uint16) * 257, HostTensor(GREY),
     HostTensor(GREY[None]), Image.fromarray(GREY)],
)  # fmt: skip
def test_grey_images_have_no_colour_order(image: Any, colours: Any) -> None:
    np.testing.assert_array_equal(as_frame(image, colours), GREY[..., None].repeat(3, axis=2))


def test_a_frame_is_used_without_a_copy() -> None:
    assert as_frame(BGR) is BGR
    assert np.shares_memory(as_frame(HostTensor(BGR), "bgr"), BGR)


@pytest.mark.parametrize(
    ("image", "colours"),
    [
        (CHW, None),
        (RGB, None),
        (BGR, "bgr"),
        (BGR.transpose(2, 0, 1), "bgr"),
        (RGB.transpose(2, 0, 1), None),  # as tensor.permute(2, 0, 1) returns it
        (CHW / 255, None),
        ((RGB / 255).astype(np.float32), "rgb"),
        (CHW.astype(np.uint16) * 257, None),
        (np.concatenate([CHW, ALPHA.transpose(2, 0, 1)]), None),
    ],
)
def test_tensors_are_rgb_with_channels_first_or_last(image: np.ndarray, colours: Any) -> None:
    np.testing.assert_array_equal(as_frame(HostTensor(image), colours), BGR)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "RGBa", "CMYK"])
def test_pil_images(mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    for colours in (None, "bgr", "rgb"):  # their order is known
        np.testing.assert_array_equal(as_frame(image, colours), BGR)


def test_pil_images_of_few_colours_and_of_grey() -> None:
    flat = Image.new("RGB", (7, 5), (200, 100, 50))
    assert (as_frame(flat.convert("P", palette=Image.Palette.ADAPTIVE)) == (50, 100, 200)).all()
    assert (as_frame(Image.new("1", (7, 5), 1)) == 255).all()
    assert (as_frame(Image.new("LA", (7, 5), (77, 3))) == 77).all()
    assert (as_frame(Image.fromarray(np.full((5, 7), 100 * 257, np.uint16))) == 100).all()
    assert (as_frame(Image.fromarray(np.full((5, 7), 0.4, np.float32))) == 102).all()


def test_a_pil_image_is_used_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.kron(RGB, np.ones((8, 8, 1), np.uint8))).save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as image:  # not read yet
        assert as_frame(image).shape[1::-1] == image.size


@pytest.mark.parametrize(
    ("image", "colours", "found"),
    [
        (np.zeros((0, 5, 3), np.uint8), None, r"shape \(0, 5, 3\)$"),
        (np.zeros((5, 5, 2), np.uint8), None, r"shape \(5, 5, 2\)$"),
        (np.array(3, np.uint8), None, r"shape \(\)"),
        (CHW, None, r"shape \(3, 5, 7\); for channels first, use image.transpose\(1, 2, 0\)"),
        (BGR[None], None, r"shape \(1, 5, 7, 3\); for a batch, pass a list of images: list\(batch\)"),
        (BGR / 255, None, 'dtype float64 of unknown colour order; pass colours="rgb" or colours="bgr"'),
        (BGR.astype(np.float32), "bgr", "float32 from [0-9.]+ to 2[0-9]+; divide it by 255"),
        (GREY / 255 - 0.5, None, "float64 from -0.[0-9]+ to 0.[0-9]+; scale or clip it"),
        (np.full((4, 4), np.nan), None, "float64 from nan to nan; scale or clip it"),
        (np.full((4, 4), np.inf), None, "float64 from inf to inf"),
        (BGR.astype(np.int64), None, "dtype int64; if its values are 0 to 255, convert it to uint8"),
        (BGR.astype(np.uint32), None, "dtype uint32; if its values"),
        (BGR > 4, None, "dtype bool; use uint8 with 0 and 255"),
        (BGR.astype(np.complex64), None, "dtype complex64$"),
        (np.array([["a", "b"]]), None, "dtype <U1$"),
        (np.array([[None]]), None, "dtype object$"),
    ],
)
def test_arrays_that_are_no_images(image: Any, colours: Any, found: str) -> None:
    with pytest.raises(ImageFormatError, match=f"found {found}"):
        as_frame(image, colours)


@pytest.mark.parametrize(
    ("tensor", "found"),
    [
        (np.zeros((3, 8, 3), np.float32), r"shape \(3, 8, 3\), where both .* channels; pass tensor.permute"),
        (np.zeros((4, 8, 1), np.uint8), r"shape \(4, 8, 1\), where both"),
        (np.zeros((2, 3, 8, 8), np.float32), r"a batch of shape \(2, 3, 8, 8\); pass a list of images: list\(batch\)"),
        (np.zeros((1, 3, 8, 8), np.float32), r"a batch of shape"),
        (np.zeros((8, 8, 8), np.float32), r"shape \(8, 8, 8\)$"),
        (np.zeros((3, 0, 8), np.float32), r"shape \(3, 0, 8\)$"),
        (np.zeros(8, np.float32), r"shape \(8,\)$"),
        (CHW.astype(np.float32), r"shape \(3, 5, 7\), float32 from [0-9.]+ to 2[0-9]+; divide it by 255"),
        (CHW.astype(np.int64), r"shape \(3, 5, 7\), dtype int64; if its values"),
    ],
)
def test_tensors_that_are_no_images(tensor: np.ndarray, found: str) -> None:
    with pytest.raises(TensorFormatError, match=f"expected a tensor of one image on the host.*found {found}"):
        as_frame(HostTensor(tensor))


@pytest.mark.parametrize(("kind", "name"), [(2, "CUDA"), (8, "Metal"), (10, "ROCm"), (99, "a device of kind 99")])
def test_a_tensor_on_a_device_is_refused_and_not_copied_in_silence(kind: int, name: str) -> None:
    with pytest.raises(TensorFormatError, match=rf"found one on {name} device 3; copy it to the host: tensor.cpu\(\)"):
        as_frame(DeviceTensor(CHW, kind))


def test_pinned_memory_is_on_the_host() -> None:
    pinned = HostTensor(CHW)
    pinned.device = (3, 0)
    np.testing.assert_array_equal(as_frame(pinned), BGR)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (None, "NoneType; cv2.imread returns None for a file that it can't read; pass the path instead"),
        (0, r"int; a camera is read by pipeline.stream\(number\)"),
        (b"\xff\xd8", "bytes; for the bytes of an image file"),
        ([BGR], "list; pass one image here"),
        (io.BytesIO(b""), r"BytesIO; pass PIL.Image.open\(file\)"),
        (iter([BGR]), "list_iterator; for several images"),
        ({"image": BGR}, "dict; for several"),
        (cv2.UMat(5, 7, cv2.CV_8UC3), r"UMat; use image.get\(\)"),
        (object(), "object$"),
    ],
)
def test_objects_that_are_no_images(image: Any, found: str) -> None:
    with pytest.raises(ImageTypeError, match=f"found {found}") as caught:
        as_frame(image)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ImageFormatError)


@pytest.mark.parametrize("colours", ["RGB", "gbr", "", 3])
@pytest.mark.parametrize("image", [BGR, Image.fromarray(RGB), HostTensor(CHW)])
def test_an_unknown_colour_order_is_refused(image: Any, colours: Any) -> None:
    with pytest.raises(OptionError, match="colours: expected bgr or rgb, found"):
        as_frame(image, colours)


def test_pil_images_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.kron(RGB, np.ones((40, 40, 1), np.uint8))).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with Image.open(path) as image, pytest.raises(ImageFormatError, match="a PIL image of mode RGB that can't be read"):
        as_frame(image)
    with pytest.raises(ImageFormatError, match="dtype int32"):
        as_frame(Image.fromarray(GREY.astype(np.int32)))
    with pytest.raises(ImageFormatError, match=r"float32 from .*divide it by 255"):
        as_frame(Image.fromarray(GREY.astype(np.float32)))
    monkeypatch.setattr(image_like, "check_size", partial(pillow_reader.check_size, max_pixels=34))
    with pytest.raises(ImageSizeError, match=r"a PIL image.* found 7 x 5"):
        as_frame(Image.fromarray(RGB))


def test_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    chw = torch.from_numpy(CHW)
    for tensor in (chw, chw / 255, (chw / 255).half(), (chw / 255).double(), chw.permute(1, 2, 0), chw.flip(0).flip(0)):
        np.testing.assert_array_equal(as_frame(tensor), BGR)
    for tensor, found in (
        ((chw / 255).bfloat16(), r"a Tensor that NumPy can't read .*; use tensor.float\(\)"),
        ((chw / 255).requires_grad_(), r"a Tensor that NumPy can't read .*use tensor.detach\(\)"),
        ((chw / 255).to_sparse(), "a Tensor that NumPy can't read"),
        (torch.empty(3, 5, 7, device="meta"), "a Tensor that NumPy can't read"),
        (chw > 4, r"shape \(3, 5, 7\), dtype bool"),
        (chw[None], "a batch of shape"),
    ):
        with pytest.raises(TensorFormatError, match=found):
            as_frame(tensor)


@pytest.mark.gpu
def test_torch_tensors_on_a_gpu() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(CHW).cuda()
    with pytest.raises(TensorFormatError, match=r"found one on CUDA device 0; copy it to the host: tensor.cpu\(\)"):
        as_frame(tensor)
    np.testing.assert_array_equal(as_frame(tensor.cpu()), BGR)


def test_arrays_and_tensors_load_neither_pillow_nor_torch() -> None:
    code = """
import sys, numpy as np
from fastsam_trt.frames.image_like import as_frame
as_frame(np.zeros((4, 4, 3), np.uint8))
class Tensor:
    def __dlpack__(self, **options): return np.zeros((3, 5, 7), np.uint8).__dlpack__(**options)
    def __dlpack_device__(self): return 1, 0
as_frame(Tensor())
print(sorted({"PIL", "torch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""`fastsam-trt pull`: download a ready ONNX model from a public hub, prove it, and install it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tqdm import tqdm

from fastsam_trt.cli.model_names import by_family
from fastsam_trt.cli.parity_table import parity_table

if TYPE_CHECKING:
    from fastsam_export.hub.pull import Pulled

_EXAMPLES = """\
examples:
  # a segmenter that finds everything
  fastsam-trt pull fastsam-s
  # CLIP, for prompts in free text
  fastsam-trt pull clip-vit-base-patch32
  # a repository in the layout of transformers.js, quantised; named REPO-int8
  fastsam-trt pull ORG/REPO --precision int8
  # an ONNX file that ultralytics exported
  fastsam-trt pull https://example.com/best.onnx --as my-model
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    from fastsam_engine.store.ready_models import READY_MODELS

    names = by_family((ready.family, ready.name) for ready in READY_MODELS.values())
    parser.usage = "%(prog)s NAME | ORG/REPO[:FILE] | ADDRESS [options]"
    parser.description = (
        f"{parser.description}\nThis needs no PyTorch. Other models: fastsam-trt export.\n\n{names}\n\n"
        "HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and proxies are honoured. An interrupted download goes on\n"
        "where it stopped."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "model", metavar="NAME", help="a name from the list above, a repository, a file in it, or the address of a file"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), default="fp32",
        help="which of a repository's siblings: model.onnx, model_fp16.onnx or model_quantized.onnx",
    )  # fmt: skip
    parser.add_argument(
        "--revision", metavar="REV",
        help="commit, tag or branch of the repository (default: that of the list, or main)",
    )  # fmt: skip
    parser.add_argument(
        "--as", dest="name", metavar="NAME",
        help="name for the installed model (default: NAME, or that of the file or repository)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an installed model of that name")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Pull the model, and print its origin, a table of its files and their parity, and how long it took."""
    from fastsam_export.hub.pull import pull_model
    from fastsam_trt.bundled_models import CLIP, SEGMENTER
    from fastsam_trt.errors import OptionError

    if args.name is not None and args.name.lower() in (SEGMENTER, CLIP):
        raise OptionError("--as", "another name than those of the package's own models", args.name)
    with tqdm(unit="B", unit_scale=True, disable=None, leave=False, file=sys.stderr) as bar:

        def progress(there: int, total: int | None) -> None:
            bar.total = total
            if not bar.n:
                bar.initial = there  # bytes of an earlier download say nothing about the rate of this one
            bar.update(there - bar.n)

        def step(text: str) -> None:
            bar.bar_format = None if text.startswith("downloading") else "{desc} {elapsed}"
            bar.set_description_str(text)

        pulled = pull_model(
            args.model,
            precision=args.precision,
            revision=args.revision,
            name=args.name,
            overwrite=args.overwrite,
            step=step,
            progress=progress,
        )
    print(f"from {pulled.source.address}")
    print(f"licence: {pulled.source.licence or _licence_of_file(pulled) or 'not stated there'}")
    print(parity_table(((file.path, file.spec) for file in pulled.files), "the original", pulled.folder))
    if reason := pulled.files[0].kept_whole:
        print(f"one dense graph, since this network can't be cut: {reason}")
    rate = f" ({pulled.downloaded / 1e6 / pulled.download_s:.1f} MB/s)" if pulled.downloaded else ""
    print(
        f"{pulled.name} is installed in {pulled.folder}: {pulled.downloaded / 1e6:.1f} MB downloaded in "
        f"{pulled.download_s:.1f} s{rate}, adopted in {pulled.adopt_s:.1f} s"
    )
    return 0


def _licence_of_file(pulled: Pulled) -> str:
    """The licence that a file itself declares, as those of ultralytics do."""
    return next((file.spec.source.licence for file in pulled.files if file.spec), "")

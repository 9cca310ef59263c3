"""The page: a comparison as one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt import __version__
from fastsam_trt.clip.crops import square_windows
from fastsam_trt.comparison.outcome import Comparison, ModelOutcome, RankedSegment
from fastsam_trt.comparison.panels import heat, panels
from fastsam_trt.comparison.records import HEADER, table_rows
from fastsam_trt.comparison.style import STYLE
from fastsam_trt.drawing.resize import resize_image
from fastsam_trt.reports.html_page import POLICY, html_table
from fastsam_trt.reports.machine import Machine

_JPEG_QUALITY = 88
_THUMBNAIL_PX = 96


def make_page(comparison: Comparison, image: str, machine: Machine, top: int = 5) -> str:
    """Make the page.

    Args:
        comparison: For this the masks of all segments are decoded.
        image: Name of the picture.
        machine: What it ran on.
        top: How many of the best-ranked segments are numbered and shown each for itself.

    Returns:
        HTML, all texts from outside escaped, pictures as data URIs.
    """
    height, width = comparison.picture.shape[:2]
    prompts = ", ".join(comparison.prompts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(prompts)}: {len(comparison.models)} segmenters compared</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{" ".join(f"<q>{escape(prompt)}</q>" for prompt in comparison.prompts)}</h1>
<p>{escape(image)}, {width} &times; {height} px. {escape(_selected_by(comparison))}</p>
</header>
<main>
<section>
<h2>Figures</h2>
<div class="wide figures">{html_table(HEADER, table_rows(comparison), numbers=range(1, len(HEADER) - 1))}</div>
<p class="remark">Times are medians of {comparison.repeat} runs after the warm-up, one model after the other.
<em>decode</em> makes the masks of the selected segments only. <em>ranked highest</em> tells similarity, or the score
where a class label answered.</p>
</section>
{"".join(_section(outcome, top, prompts) for outcome in comparison.models)}
</main>
{_footer(machine)}
</body>
</html>
"""


def _selected_by(comparison: Comparison) -> str:
    labels = "class labels" if any(outcome.by_label for outcome in comparison.models) else ""
    clip = f"CLIP {comparison.clip} from {comparison.threshold:g} up" if comparison.clip else ""
    return f"Selected by {' and '.join(filter(None, (labels, clip)))}."


def _section(outcome: ModelOutcome, top: int, prompts: str) -> str:
    figures = []
    for panel in panels(outcome, top):
        alt = escape(f"{outcome.name}, {prompts}: {panel.title}")
        scale = _scale() if panel.heat else ""
        figures.append(
            f'<figure><img src="{_data_uri(panel.picture)}" alt="{alt}" width="{panel.picture.shape[1]}" '
            f'height="{panel.picture.shape[0]}"><figcaption>{escape(panel.title)}{scale}</figcaption></figure>'
        )
    told = f"{outcome.family}, {outcome.engine}; {outcome.counts}"
    return f"""<section>
<h2>{escape(outcome.name)}</h2>
<p>{escape(told)}</p>
<div class="panels">{"".join(figures)}</div>
{_ranking(outcome, top)}
</section>
"""


def _ranking(outcome: ModelOutcome, top: int) -> str:
    ranked = list(outcome.ranked(top))
    if not ranked:
        return "<p>No segment to rank.</p>"
    height, width = outcome.result.frame.shape[:2]
    windows = square_windows(np.array([each.box for each in ranked], np.float32), height, width)
    rows = []
    for each, (x0, y0, x1, y1) in zip(ranked, windows.tolist(), strict=True):
        crop = _thumbnail(outcome.result.frame[y0:y1, x0:x1])
        image = f'<img class="crop" src="{_data_uri(crop)}" alt="crop of segment {each.index}">'
        rows.append(
            f"<tr><td class=n>{each.rank}</td><td>{image}</td><td>{escape(each.prompt)}</td><td>{_meter(each)}</td>"
            f"<td>{escape(each.label or '-')}</td><td class=n>{each.score:.2f}</td>"
            f"<td>{'yes' if each.selected else 'no'}</td></tr>"
        )
    head = "".join(
        f"<th>{name}</th>" for name in ("rank", "crop", "prompt", "similarity", "class", "score", "selected")
    )
    rest = len(outcome.ranking) - len(ranked)
    more = f'<p class="remark">{rest} more segments rank lower.</p>' if rest else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>{more}'


def _meter(ranked: RankedSegment) -> str:
    """The similarity as a number and a bar."""
    if ranked.similarity is None:
        return "by its label"
    bar = f'<span class="bar"><i style="width:{100 * ranked.similarity:.0f}%"></i></span>'
    return f"{ranked.similarity:.2f} {bar}"


def _scale() -> str:
    """The colours of 0 to 1, as a bar between its ends."""
    stops = ",".join("#{2:02x}{1:02x}{0:02x}".format(*heat(i / 8)) for i in range(9))
    return f' <span class="scale">0 <i style="background:linear-gradient(to right,{stops})"></i> 1</span>'


def _footer(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"<footer><p>fastsam-trt {escape(__version__)}; {escape(versions)}; Python {escape(machine.python)}.</p>"
        f"<p>{escape(machine.processor)}, {machine.cores} cores; {escape(machine.system)}.</p></footer>"
    )


def _thumbnail(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = crop.shape[:2]
    scale = _THUMBNAIL_PX / max(height, width)
    return resize_image(crop, (max(round(height * scale), 1), max(round(width * scale), 1)))


def _data_uri(picture: NDArray[np.uint8]) -> str:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"

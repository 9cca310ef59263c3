"""Write a comparison as one HTML page that needs no other file and no network."""

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
from fastsam_trt.drawing.resize import resize_image
from fastsam_trt.reports.html_page import STYLE, html_table, whole_page
from fastsam_trt.reports.machine import Machine

_JPEG_QUALITY = 88
_THUMBNAIL_PX = 96
_STYLE = (
    STYLE
    + """
.panels { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr));
  margin-bottom: 1rem; }
figure img { display: block; width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; }
figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1rem; justify-content: space-between; padding-top: .3rem; }
.scale { white-space: nowrap; }
.scale i { display: inline-block; width: 6rem; height: .7rem; border-radius: 2px; vertical-align: -1px; }
.results td:first-child { white-space: nowrap; }
.results td:last-child { min-width: 16rem; }
.crop { display: block; width: 64px; height: 64px; object-fit: contain; background: var(--raised); border-radius: 3px; }
.bar { display: inline-block; width: 6rem; height: .6rem; margin-left: .4rem; background: var(--faint-line);
  border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
"""
)


def make_page(comparison: Comparison, image_name: str, machine: Machine, top: int = 5) -> str:
    """Make the page.

    Args:
        comparison: The comparison. This decodes the masks of all segments.
        image_name: Name of the image.
        machine: The machine that it ran on.
        top: How many of the best-ranked segments to number and list.

    Returns:
        HTML with escaped texts and images as data URIs.
    """
    height, width = comparison.image.shape[:2]
    prompts = ", ".join(comparison.prompts)
    body = f"""<header>
<h1>{" ".join(f"<q>{escape(prompt)}</q>" for prompt in comparison.prompts)}</h1>
<p>{escape(image_name)}, {width} &times; {height} px. {escape(_selected_by(comparison))}</p>
</header>
<main>
<section>
<h2>Results</h2>
<div class="wide results">{html_table(HEADER, table_rows(comparison), numbers=range(1, len(HEADER) - 1))}</div>
<p class="remark">Times are medians of {comparison.repeat} runs after warm-up, one model after the other.
<em>decode</em> makes the masks of the selected segments only. <em>ranked highest</em> shows the similarity to the
prompt, or the score if the prompt is a class label.</p>
</section>
{"".join(_section(outcome, top, prompts) for outcome in comparison.models)}
</main>
{_footer(machine)}
"""
    return whole_page(f"{prompts}: {len(comparison.models)} models compared", _STYLE, body)


def _selected_by(comparison: Comparison) -> str:
    labels = "class labels" if any(outcome.by_label for outcome in comparison.models) else ""
    clip = f"CLIP {comparison.clip} with a similarity of at least {comparison.threshold:g}" if comparison.clip else ""
    return f"Selected by {' and '.join(filter(None, (labels, clip)))}."


def _section(outcome: ModelOutcome, top: int, prompts: str) -> str:
    panel_html = []
    for panel in panels(outcome, top):
        alt = escape(f"{outcome.name}, {prompts}: {panel.title}")
        scale = _scale() if panel.heat else ""
        panel_html.append(
            f'<figure><img src="{_data_uri(panel.image)}" alt="{alt}" width="{panel.image.shape[1]}" '
            f'height="{panel.image.shape[0]}"><figcaption>{escape(panel.title)}{scale}</figcaption></figure>'
        )
    summary = f"{outcome.family}, {outcome.engine}; {outcome.counts}"
    return f"""<section>
<h2>{escape(outcome.name)}</h2>
<p>{escape(summary)}</p>
<div class="panels">{"".join(panel_html)}</div>
{_ranking(outcome, top)}
</section>
"""


def _ranking(outcome: ModelOutcome, top: int) -> str:
    ranked = list(outcome.ranked(top))
    if not ranked:
        return "<p>No segments to rank.</p>"
    height, width = outcome.result.size
    windows = square_windows(np.array([segment.box for segment in ranked], np.float32), height, width)
    rows = []
    for segment, (x0, y0, x1, y1) in zip(ranked, windows.tolist(), strict=True):
        crop = _thumbnail(outcome.result.frame[y0:y1, x0:x1])
        image = f'<img class="crop" src="{_data_uri(crop)}" alt="crop of segment {segment.index}">'
        rows.append(
            f"<tr><td class=n>{segment.rank}</td><td>{image}</td><td>{escape(segment.prompt)}</td>"
            f"<td>{_meter(segment)}</td><td>{escape(segment.label or '-')}</td><td class=n>{segment.score:.2f}</td>"
            f"<td>{'yes' if segment.selected else 'no'}</td></tr>"
        )
    head = "".join(
        f"<th>{name}</th>" for name in ("rank", "crop", "prompt", "similarity", "class", "score", "selected")
    )
    rest = len(outcome.ranking) - len(ranked)
    plural = "" if rest == 1 else "s"
    more = f'<p class="remark">{rest} more segment{plural} ranked lower.</p>' if rest else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>{more}'


def _meter(ranked: RankedSegment) -> str:
    """The similarity as a number and a bar."""
    if ranked.similarity is None:
        return "class label"
    bar = f'<span class="bar"><i style="width:{100 * ranked.similarity:.0f}%"></i></span>'
    return f"{ranked.similarity:.2f} {bar}"


def _scale() -> str:
    """The colour scale from 0 to 1."""
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


def _data_uri(image: NDArray[np.uint8]) -> str:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"

"""The style sheet of the page of results, on top of the one that all pages share."""

from fastsam_bench.report.svg import palette
from fastsam_trt.reports import html_page

STYLE = (
    html_page.STYLE
    + palette.css()
    + """
body { max-width: 1180px; }
h3 { font-size: 1.05rem; margin: 1.2rem 0 0; color: var(--text); }
figcaption h3 { margin: 0; }
nav ul, .legend, .points { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: 0;
  margin: .4rem 0; }
a { color: var(--accent); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1rem; margin: .6rem 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.notes { border-left: 3px solid var(--warn); margin: .8rem 0; padding: .2rem 0 .2rem .8rem; list-style: none; }
.notes li { overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 2rem 2.5rem;
  align-items: start; margin-top: 1.2rem; }
figure { min-width: 0; }
svg { break-inside: avoid; }
.full { grid-column: 1 / -1; }
figcaption p { margin: 0 0 .4rem; }
details { margin-top: .3rem; }
summary { cursor: pointer; color: var(--accent); font-size: .875rem; padding: .3rem 0; width: max-content; }
.legend, .points { font-size: .875rem; }
.legend li::before { content: ""; display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem;
  border-radius: 2px; background: var(--c); vertical-align: -1px; }
.legend .faded::before { opacity: .4; }
.legend .line::before { width: 1.6rem; height: 0; border-top: 3px solid var(--c); background: none; border-radius: 0;
  vertical-align: 4px; }
.legend .broken::before { border-top-style: dashed; }
.points { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
svg { display: block; overflow: visible; font-family: inherit; font-size: 12px; font-variant-numeric: tabular-nums; }
svg text { fill: var(--text); }
svg .tick, svg .axis { fill: var(--faint); font-size: 11px; }
svg .head { font-weight: 600; font-size: 13px; }
svg .doubtful { fill: var(--warn); }
svg .number { font-weight: 600; paint-order: stroke; stroke: var(--ground); stroke-width: 4px;
  stroke-linejoin: round; }
svg .grid { stroke: var(--faint-line); }
svg .reference { stroke: var(--faint); stroke-dasharray: 4 3; }
svg .bar { fill: var(--c); stroke: var(--ground); stroke-width: .6px; }
svg .o-20 { opacity: .2; } svg .o-40 { opacity: .4; } svg .o-60 { opacity: .6; } svg .o-80 { opacity: .8; }
svg .span, svg .mark { stroke: var(--text); stroke-width: 1.5px; }
svg .series { stroke: var(--c); stroke-width: 2px; stroke-linecap: round; }
svg .dashed { stroke-dasharray: 5 5; }
svg .dot { fill: var(--c); stroke: var(--ground); stroke-width: 1px; }
@media (max-width: 600px) { body { padding: 1rem; } th, td { padding: .3rem .5rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } nav, summary { display: none; }
  .charts { display: block; } figure { margin-bottom: 1.5rem; } figcaption { break-inside: avoid; }
  h2, h3, figcaption, .legend { break-after: avoid; } svg, .legend li::before { print-color-adjust: exact; } }
"""
)

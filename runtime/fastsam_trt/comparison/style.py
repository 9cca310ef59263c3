"""The page's style sheet, beside what all pages share."""

from fastsam_trt.reports import html_page

STYLE = (
    html_page.STYLE
    + """
.panels { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr));
  margin-bottom: 1rem; }
figure img { display: block; width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; }
figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1rem; justify-content: space-between; padding-top: .3rem; }
.scale { white-space: nowrap; }
.scale i { display: inline-block; width: 6rem; height: .7rem; border-radius: 2px; vertical-align: -1px; }
.figures td:first-child { white-space: nowrap; }
.figures td:last-child { min-width: 16rem; }
.crop { display: block; width: 64px; height: 64px; object-fit: contain; background: var(--raised); border-radius: 3px; }
.bar { display: inline-block; width: 6rem; height: .6rem; margin-left: .4rem; background: var(--faint-line);
  border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
"""
)

"""The page's style sheet."""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 1.5rem; background: #fff; color: #1f2328;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
p { margin: 0 0 .8rem; overflow-wrap: anywhere; }
section { border-top: 1px solid #d0d7de; margin-top: 1.5rem; padding-top: 1.2rem; }
.remark, footer, figcaption { color: #57606a; font-size: .875rem; }
.panels { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr));
  margin-bottom: 1rem; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; border: 1px solid #d0d7de; border-radius: 4px; }
figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1rem; justify-content: space-between; padding-top: .3rem; }
.scale { white-space: nowrap; }
.scale i { display: inline-block; width: 6rem; height: .7rem; border-radius: 2px; vertical-align: -1px; }
.wide { overflow-x: auto; margin-bottom: .6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .925rem; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid #eaeef2; text-align: left; vertical-align: middle; }
th { color: #57606a; font-weight: 600; border-bottom-color: #d0d7de; }
.n { text-align: right; }
.figures td:first-child { white-space: nowrap; }
.figures td:last-child { min-width: 16rem; }
.crop { display: block; width: 64px; height: 64px; object-fit: contain; background: #f6f8fa; border-radius: 3px; }
.bar { display: inline-block; width: 6rem; height: .6rem; margin-left: .4rem; background: #eaeef2; border-radius: 3px;
  overflow: hidden; }
.bar i { display: block; height: 100%; background: #0969da; }
footer { border-top: 1px solid #d0d7de; margin-top: 1.5rem; padding-top: 1rem; }
"""

"""Charts as inline SVG: widths in percent and heights in px, so that texts keep their size on a phone."""

"""Draw charts as inline SVG, with widths in percent and heights in px, so that texts keep their size on a phone."""

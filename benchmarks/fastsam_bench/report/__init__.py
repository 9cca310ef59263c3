"""Report results as Markdown, HTML and text."""

"""Reports of results: Markdown, HTML and text."""

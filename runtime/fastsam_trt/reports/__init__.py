"""Describe the machine, and style HTML pages, for reports."""

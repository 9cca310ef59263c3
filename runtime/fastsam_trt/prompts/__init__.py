"""Prompts: texts, boxes and points, checked, and the classes that texts name."""

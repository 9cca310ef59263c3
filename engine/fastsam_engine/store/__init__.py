"""Find models and caches on disk, and read and write files."""

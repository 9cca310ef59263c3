"""The model store: where models lie on disk, and how files are written there."""

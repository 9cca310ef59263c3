"""Video decoding through FFmpeg (PyAV), over damaged stretches."""

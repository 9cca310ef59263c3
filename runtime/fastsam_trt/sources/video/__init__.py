"""Video files and streams, decoded through FFmpeg (PyAV), with damage skipped and counted."""

"""Cut a dense YOLO segmenter into graphs that compute only what can be selected."""

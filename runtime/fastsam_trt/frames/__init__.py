"""Frames of images, resized and normalised into the input of a model."""

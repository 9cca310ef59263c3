"""Run segmentation models and decode their outputs to segments."""

"""The pipeline: frames and prompts in, results out."""

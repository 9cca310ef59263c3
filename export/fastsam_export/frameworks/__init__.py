"""Models of ultralytics and transformers, loaded and made traceable."""

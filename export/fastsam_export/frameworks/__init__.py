"""Load models of ultralytics and transformers, and trace them."""

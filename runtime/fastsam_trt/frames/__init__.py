"""Read images, and prepare frames as the input of a model."""

"""Define the spec of a model, and read it from every kind of file."""

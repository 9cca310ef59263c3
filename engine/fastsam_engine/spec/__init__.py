"""The spec of a model: its schema, and how it is read from each kind of file."""

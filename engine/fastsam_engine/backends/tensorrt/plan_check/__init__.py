"""The check of a built plan: its outputs are compared with those of its graph on sample inputs."""

"""Compare a built plan with its graph on sample inputs."""

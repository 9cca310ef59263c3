"""Built engines: what to build, the plan file and its sidecar, input shapes, and the cache."""

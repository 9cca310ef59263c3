"""Sources that are read through pipes: videos and images."""

"""Videos and images through pipes."""

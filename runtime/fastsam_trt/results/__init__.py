"""Results of frames, and the formats that they are written in."""

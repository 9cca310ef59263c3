"""Time blocks of calls and stages, compare sides pair by pair, and watch the noise of the machine."""

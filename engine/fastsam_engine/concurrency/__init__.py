"""Objects that threads share: closing, calls under way, work done once, and interrupts during native calls."""

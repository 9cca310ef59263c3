"""Build requests, plan files, supported input shapes, and the cache of built engines."""

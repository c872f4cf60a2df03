"""Overload of the baked service, and what probes and other users notice (`python -m benchmarks.overload`)."""

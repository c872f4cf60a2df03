"""CPU and memory profiles of running processes."""

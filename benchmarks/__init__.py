"""Benchmark of the service against bare Flask, the usual alternatives and a minimal WSGI app: `make bench`."""

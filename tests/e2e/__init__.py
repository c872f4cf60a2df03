"""Tests of the container stack on a real Docker engine; a package, because tests/ has a conftest.py too."""

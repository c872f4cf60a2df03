"""The container stack on a real Docker engine; a package, so that its conftest is not taken for the one above it."""

"""The template's part of the service. It imports no feature."""

"""The API: blueprints, request parsing, pagination, rate limits, versions and the OpenAPI specification."""

"""The Flask class, and what all HTTP requests and responses share."""

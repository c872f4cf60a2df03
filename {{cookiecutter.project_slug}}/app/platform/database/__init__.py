"""The database: models, engine, encryption, metrics."""

"""Redis: the client and the cache."""

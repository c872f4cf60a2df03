"""Who is calling, and the keys that prove it."""

"""Settings: declared once, read from Vault and the environment, checked together."""

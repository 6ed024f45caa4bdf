"""API keys: made, listed and revoked on the command line, and taken up by a running service."""

"""Training configurations in YAML."""

"""The recipes the package carries, YAML files."""

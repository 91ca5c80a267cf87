"""Document signals and the rules over them, one family a file."""

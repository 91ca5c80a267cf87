"""Page text from HTML: three extractors behind one interface, run in guarded child processes."""

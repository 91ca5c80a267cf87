"""Deduplication across a whole run, in Spark."""

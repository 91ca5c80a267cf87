"""Specs of `jobs/train_classifier.py --preset`."""

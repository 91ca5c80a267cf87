"""Probe: does a model learn linear regression from the examples in its context?"""

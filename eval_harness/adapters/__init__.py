"""Models seen as `score(context, continuations)`; nothing else here knows what a model is."""

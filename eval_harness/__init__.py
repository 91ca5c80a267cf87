"""The evaluator: tasks, prompts and scoring of any `score(context, continuations)`; never imports pyspark."""

"""Finding evaluation items in documents: question by n-grams, gold answer near it."""

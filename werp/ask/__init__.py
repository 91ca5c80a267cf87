"""Questions one asks of a finished run: why was a page dropped, what if a threshold were another, ..."""

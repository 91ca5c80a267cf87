"""The report of a finished run: one HTML page without scripts that needs no network; see docs/report.md."""

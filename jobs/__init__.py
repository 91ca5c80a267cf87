"""One thin file per `spark-submit`; its first lines show the command that runs it."""

"""Proxy models: a size ladder, a plain decoder, its data order and its trainer. Never imports pyspark."""

import os

# OpenMP's threads wait for each other spinning. With both of two cores also in use by others the trainer
# made 163 and 201 tokens a second spinning, 1,396 sleeping; on quiet cores 2,020 and 2,215 against 1,827.
# Read when torch is first imported, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

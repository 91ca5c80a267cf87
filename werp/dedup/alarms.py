"""Names of the seat-belt's alarms (`werp.dedup.belt`), which a person can accept."""

SOURCE_LOSS, CLUSTER_SIZE, CONVERGENCE = "source-loss", "cluster-size", "convergence"
ALARMS = (SOURCE_LOSS, CLUSTER_SIZE, CONVERGENCE)

"""The tasks by name; a new one is a file here and a line below."""

from eval_harness.task import Task
from eval_harness.tasks import (
    arc_challenge,
    arc_easy,
    commonsenseqa,
    hellaswag,
    mmlu,
    openbookqa,
    piqa,
    socialiqa,
    winogrande,
)

_MODULES = (
    mmlu,
    arc_easy,
    arc_challenge,
    hellaswag,
    winogrande,
    piqa,
    socialiqa,
    commonsenseqa,
    openbookqa,
)
TASKS: dict[str, Task] = {module.TASK.name: module.TASK for module in _MODULES}

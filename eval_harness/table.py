"""The terminal's table of scores."""

from __future__ import annotations

from rich.table import Table

from eval_harness.results import CATEGORIES, Estimate, Scores, TaskResult


def percent(value: float, error: float | None) -> str:
    """`41.3 ± 1.4`, in points."""
    return f"{100 * value:.1f} ± " + ("?" if error is None else f"{100 * error:.1f}")


def scores_table(scores: Scores) -> Table:
    """One line a task in the paper's three categories, then the averages; remarks stand below."""
    some = next(iter(scores.tasks.values()))
    title = (
        f"{scores.model['name']}: {some.form.replace('_', ' ')} form, {some.shots} shots, accuracy in points"
    )
    table = Table(title=title, title_justify="left", caption=remarks(scores), caption_justify="left")
    for name in ("task", "items", "accuracy", "by", "chance", "bits/B", "ties"):
        words = name in {"task", "by"}  # on a narrow terminal words are folded, so that no figure is cut
        table.add_column(name, justify="left" if words else "right", no_wrap=not words)
    known = {name for names in CATEGORIES.values() for name in names}
    groups = {**CATEGORIES, "others": tuple(name for name in scores.tasks if name not in known)}
    for category, names in groups.items():
        for name in names:
            if name in scores.tasks:
                table.add_row(*task_cells(scores.tasks[name]))
        average_line(table, category.replace("_", " "), scores.averages.get(category))
        table.add_section()
    average_line(table, "mean of nine", scores.averages.get("macro"))
    return table


def average_line(table: Table, name: str, average: Estimate | None) -> None:
    """A bold line, where the average exists."""
    if average is not None:
        table.add_row(f"[bold]{name}", "", f"[bold]{percent(average.value, average.standard_error)}")


def task_cells(result: TaskResult) -> tuple[str, ...]:
    """A task's line; an asterisk stands by what can't be told from guessing."""
    headline = result.accuracy
    mark = "*" if result.near_chance else " "
    return (
        result.task,
        f"{result.n:,}",
        percent(headline.accuracy, headline.standard_error) + mark,
        result.primary.replace("_", " "),
        f"{100 * result.chance:.1f}",
        f"{result.bits_per_byte.value:.3f}",
        str(headline.ties),
    )


def remarks(scores: Scores) -> str:
    """What the reader must know of the numbers."""
    notes = []
    if any(result.near_chance for result in scores.tasks.values()):
        notes.append("* not to be told from guessing")
    for name, result in scores.tasks.items():
        if result.shots_dropped:
            notes.append(
                f"{name}: {result.shots_dropped} of {result.n} items with fewer shots, window too small"
            )
        if result.beyond_window:
            notes.append(
                f"{name}: {result.beyond_window} items longer than the window the model was trained on"
            )
    for name, clean in (scores.clean or {}).items():
        value = percent(clean.accuracy, clean.standard_error)
        notes.append(f"{name}: {clean.contaminated} items contaminated; without them {value}")
    return "\n".join(notes)

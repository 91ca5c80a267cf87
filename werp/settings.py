"""Settings in YAML, by name or by path: what a recipe and a classifier's spec have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from werp.errors import WerpError, from_os, nearest
from werp.local import refuse_remote

#: A place in the settings, as pydantic gives it.
Location = tuple[int | str, ...]


class _OneValueAKey(yaml.SafeLoader):
    """YAML in which no key is given twice: the second would silently take the first one's place."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the parent does, once the keys are found to differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value} is given twice", key.start_mark
                    )
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def carried(package: str) -> list[str]:
    """Names of the YAML files that a package carries, in order."""
    return sorted(e.name.removesuffix(".yaml") for e in files(package).iterdir() if e.name.endswith(".yaml"))


def read_settings(name_or_path: str, package: str, kind: str) -> tuple[dict[str, Any], str]:
    """The mapping in a package's file of this name, or in the file at this path, and what errors call it.

    kind: what it is, as in `--recipe`. Raises `WerpError` where there is none, or it is no YAML mapping.
    """
    refuse_remote(f"--{kind}", name_or_path)
    where, place = f"{kind} {name_or_path}", files(package).joinpath(f"{name_or_path}.yaml")
    if name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path:
        where, place = name_or_path, Path(name_or_path)
        if not place.is_file():
            what = "a folder, not a file" if place.is_dir() else "no such file"
            raise WerpError(f"--{kind} {name_or_path}: {what}; give a YAML file, or the name of a {kind}")
    elif name_or_path not in carried(package):
        raise WerpError(f"--{kind} {name_or_path}: no such {kind}{nearest(name_or_path, carried(package))}")
    try:
        content = yaml.load(place.read_text("utf-8"), _OneValueAKey)
    except OSError as error:
        raise from_os(error) from error
    except UnicodeDecodeError as error:
        raise WerpError(f"--{kind} {name_or_path}: no UTF-8 text: {error}; save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise WerpError(f"{where}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise WerpError(f"{where}: a {kind} is a mapping of keys, found {type(content).__name__}")
    return content, where


def setting(override: str, example: str) -> tuple[list[str], Any]:
    """The parts of the key and the value of one `--set KEY=VALUE`; `WerpError` where it is none."""
    key, separator, value = override.partition("=")
    if not separator:
        raise WerpError(f"--set {override}: expected KEY=VALUE, e.g. {example}")
    try:
        return key.strip().split("."), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise WerpError(f"--set {key}: not a YAML value: {value!r}") from error


def explained(error: ValidationError, where: str, keys_at: Callable[[Location], Iterable[str]]) -> WerpError:
    """A validation error for the person who wrote the settings: a line a problem, with the nearest right key.

    keys_at: the keys there are at a place.
    """
    lines = []
    problems = error.errors()
    # A list whose items are all at fault is too short too, once they are gone: that says nothing more.
    inner = {problem["loc"][:n] for problem in problems for n in range(len(problem["loc"]))}
    for problem in problems:
        location, message = problem["loc"], problem["msg"].replace("a valid tuple", "a list")
        if problem["type"] == "too_short" and location in inner:
            continue
        path = ".".join(map(str, location))
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {path}{nearest(str(location[-1]), keys_at(location[:-1]))}")
        elif problem["type"] == "union_tag_invalid":
            context = problem["ctx"]
            known = [tag.strip("' ") for tag in str(context["expected_tags"]).split(",")]
            kind = "rule" if "rule" in context["discriminator"] else context["discriminator"].strip("'")
            lines.append(f"{path}: no {kind} {context['tag']!r}{nearest(context['tag'], known)}")
        elif problem["type"] == "union_tag_not_found":
            key = (
                "rule"
                if "rule" in problem["ctx"]["discriminator"]
                else problem["ctx"]["discriminator"].strip("'")
            )
            lines.append(f"{path}: no key `{key}`, which says what it is (found {problem['input']!r:.80})")
        else:
            found = "" if problem["type"] == "missing" else f" (found {problem['input']!r:.80})"
            if problem["type"] == "string_type" and isinstance(problem["input"], bool):
                found += "; YAML takes no, yes, on and off for truth values: quote it"
            lines.append(f"{path}: {message}{found}" if path else f"{message}{found}")
    return WerpError("\n".join(f"{where}: {line}" for line in lines))

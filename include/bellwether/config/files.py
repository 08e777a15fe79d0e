"""The configuration's YAML files and environment variables: read, overridden, complained about."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import yaml
from pydantic import ValidationError

from bellwether.errors import ConfigError
from bellwether.universe.spec import KINDS

# Every task reads all files, and the loader in Python takes eight times as long.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_ENV_PREFIX = "BELLWETHER__"
_LONGEST_VALUE = 200


def read(path: Path) -> dict[str, Any]:
    """Return what a file says; nothing where there is none.

    Raises
    ------
    ConfigError
        It is no YAML, or no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path}: not valid YAML: {error}"
        raise ConfigError(msg) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        msg = f"{path}: expected keys and values, found {type(content).__name__}"
        raise ConfigError(msg)
    return content


def read_folder(folder: Path) -> dict[str, Any]:
    """Return what each YAML file of a folder says, by its name without the ending; `ConfigError` as `read`."""
    return {path.stem: read(path) for path in sorted(folder.glob("*.yaml"))}


def resolve(settings: dict[str, Any], section: str, key: str, default: str, folder: Path) -> None:
    """Make the place under a key, or its default, absolute; a URL is already."""
    node = settings.setdefault(section, {})
    if isinstance(node, dict):
        place = str(node.get(key, default))
        node[key] = place if "://" in place else str(folder.absolute().parent / place)


def override(content: dict[str, dict[str, Any]], env: Mapping[str, str]) -> None:
    """Put what the environment says in place of what the files say.

    Raises
    ------
    ConfigError
        Names the variable that is no YAML, or that goes into a plain value.
    """
    for name, value in env.items():
        if name.startswith(_ENV_PREFIX):
            _override(content, name, value)


def explain(error: ValidationError, folder: Path) -> str:
    """Return a line for each wrong value: its file, its key, what is wrong with it."""
    lines = []
    for problem in error.errors():
        file, *keys = (str(part) for part in problem["loc"] if part not in KINDS)
        if file == "contracts" and keys:  # a folder of files
            file = f"{file}/{keys.pop(0)}"
        value = shorten(repr(problem["input"]), _LONGEST_VALUE, placeholder=" ...")
        lines.append(f"{folder / file}.yaml: {'.'.join(keys)}: {problem['msg']} (value: {value})")
    return "\n".join(lines)


def _override(content: dict[str, dict[str, Any]], name: str, value: str) -> None:
    *sections, key = name.removeprefix(_ENV_PREFIX).lower().split("__")
    node: Any = content
    if not sections or sections[0] not in content:
        sections = ["settings", *sections]
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            msg = (
                f"environment variable {name}: {section} is a plain value or list, which has no keys: override it whole"
            )
            raise ConfigError(msg)
    try:
        node[key] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        msg = f"environment variable {name}: not valid YAML: {value!r}"
        raise ConfigError(msg) from error

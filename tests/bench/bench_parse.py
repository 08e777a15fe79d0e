"""What a parse of the DAG files costs beyond the Airflow every parse must import.

Each side is a process of its own, as the DAG processor makes one per parse; they run in turns, from
compiled bytecode, and CPU seconds are counted, so that a busy machine changes little. Airflow's SDK is
lazy; what its names pull in when a DAG file asks for them counts as the DAG file's.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from tests.bench import BenchRow

_ROOT = Path(__file__).resolve().parents[2]
_ROUNDS = 9
_TIMEOUT_S = 120
_TARGET = 1.2

# Airflow gives every file it imports a name of its own choice; the plugin file keeps its stem.
_IMPORT_FILES = """
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
for path in sys.argv[1:]:
    name = path.rpartition("/")[2].removesuffix(".py")
    loader = SourceFileLoader(name, path)
    module = module_from_spec(spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
"""
_REPORT = "\nimport json, sys, time; print(json.dumps([time.process_time(), list(sys.modules)]))"


def run() -> list[BenchRow]:
    """Compare a process that imports the plugin and all DAG files with one that imports `airflow.sdk`."""
    files = [str(path) for folder in ("plugins", "dags") for path in sorted((_ROOT / folder).glob("*.py"))]
    with tempfile.TemporaryDirectory() as home:
        env = _environment(home)
        # The first round compiles what is not compiled yet, and writes Airflow's configuration file.
        bare_modules, parse_modules = _bare(env)[1], _parse(env, files)[1]
        bare_s, parse_s = [], []
        for _ in range(_ROUNDS):
            bare_s.append(_bare(env)[0])
            parse_s.append(_parse(env, files)[0])
    ratio = median(parse_s) / median(bare_s)
    heavy = _heavy(parse_modules - bare_modules)
    named = f": {', '.join(heavy)}" if heavy else ""
    return [
        BenchRow("parse of dags/ and plugins/ vs bare airflow.sdk", ratio, _TARGET, "x CPU", ratio <= _TARGET),
        BenchRow(f"heavy packages imported by a parse{named}", len(heavy), 0, "packages", not heavy),
    ]


def _bare(env: Mapping[str, str]) -> tuple[float, set[str]]:
    return _python("import airflow.sdk", [], env)


def _parse(env: Mapping[str, str], files: list[str]) -> tuple[float, set[str]]:
    return _python(_IMPORT_FILES, files, env)


def _python(code: str, arguments: list[str], env: Mapping[str, str]) -> tuple[float, set[str]]:
    """Run code in a fresh interpreter; return its CPU seconds and the modules it has loaded."""
    command = [sys.executable, "-c", code + _REPORT, *arguments]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=_TIMEOUT_S)
    cpu_s, modules = json.loads(done.stdout.splitlines()[-1])
    return cpu_s, set(modules)


def _environment(home: str) -> dict[str, str]:
    # As in a local stack: nobody else's Airflow settings, and bytecode is kept.
    foreign = ("AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(foreign)}, "AIRFLOW_HOME": home}


def _heavy(modules: set[str]) -> list[str]:
    """Return which of the packages that the linter bans at module level were loaded."""
    content = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    banned = content["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]
    return [name for name in banned if any(module == name or module.startswith(f"{name}.") for module in modules)]

"""What `up`, `demo` and `down` share: where their stacks live, their simulator, and how they are presented."""

from pathlib import Path

from rich.console import Console

from bellwether.localstack import StackState
from bellwether.localstack.environment import project_root
from bellwether.localstack.processes import free_port

_SIMULATOR_PORT = 8765


def up_home() -> Path:
    """Return the home of the stack that `up` starts; kept."""
    return project_root() / ".local" / "airflow"


def demo_home() -> Path:
    """Return the home of the stack that `demo` starts; made anew by every demo."""
    return project_root() / ".local" / "demo" / "airflow"


def simulator_arguments() -> tuple[str, ...]:
    """Return the arguments of `bellwether simulate`: a generated market on the usual port, or on any free one."""
    return ("--generate", "--port", str(free_port(_SIMULATOR_PORT)))


def show_address(console: Console, state: StackState) -> None:
    """Show where a stack is and how to log in."""
    rows = {"Airflow": state.url, "Login": f"{state.username} / {state.password}"}
    if state.simulator_url:
        rows["Simulator"] = state.simulator_url
    if state.lake:
        rows["Lake"] = state.lake
    for name, value in rows.items():
        console.print(f"{name + ':':<11}{value}", highlight=False, markup=False, soft_wrap=True)

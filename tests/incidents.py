"""What the tests of incidents share: a clock to turn, people who are told, reports to make."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from bellwether.config import Alerts
from bellwether.errors import Blame, ServerError
from bellwether.incidents.board import tell
from bellwether.incidents.incident import Report, Run
from bellwether.incidents.ledger import report
from bellwether.lake import Lake
from bellwether.monitoring.alerts import Delivery, Message

SESSION = date(2025, 7, 1)


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.at = datetime(2025, 7, 2, 0, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class People:
    """Who is told; `refusing` sinks take nothing."""

    lake: Lake
    settings: Alerts = field(default_factory=Alerts)
    sent: list[Message] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    refusing: tuple[str, ...] = ()

    def send(self, message: Message, only: tuple[str, ...]) -> Delivery:
        self.sent.append(message)
        self.asked.append(only)
        return Delivery("sent", self.refusing)

    def tell(self, *, is_sweep: bool = False) -> list[str]:
        return [message.subject for message in tell(self.lake, self.settings, self.send, is_sweep=is_sweep)]

    def sweep(self) -> list[str]:
        return self.tell(is_sweep=True)


def found(
    dataset: str = "equities",
    session: date = SESSION,
    blame: Blame = Blame.VENDOR,
    failed: int = 1,
    **changes: object,
) -> Report:
    """Return a report on a run of a dataset's producer."""
    subject = f"{dataset} {session}: {failed} of 8 tickers failed"
    values: dict[str, object] = {
        "report_id": f"run-{dataset}-{session}",
        "dataset": dataset,
        "session": session,
        "blame": blame,
        "severity": "error",
        "subject": subject,
        "body": f"{failed} of 8 tickers failed.\n\n- ServerError (SPY): {ServerError.advice}.",
        "causes": ("ServerError",),
        "failed": failed,
        "planned": 8,
        "unit": "tickers",
        "run": Run(f"{dataset}_daily", f"scheduled__{session}__x"),
    }
    return Report(**(values | changes))  # type: ignore[arg-type]


def report_many(root: str, times: int) -> list[str]:
    """Report and tell as so many callbacks do, one after the other; return the subjects of what this process told."""
    lake = Lake.open(root, simulated=True)
    people = People(lake)
    return [subject for _ in range(times) if report(lake, found(failed=500)) for subject in people.tell()]

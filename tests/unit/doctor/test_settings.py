"""What the doctor says of the configuration."""

from datetime import date

from bellwether.config import Alerts, Mute
from bellwether.doctor.finding import Level
from bellwether.doctor.settings import judge_universe, judge_waivers

MUTE = Mute(dag_id="equities_daily", reason="the plan is being changed", until=date(2025, 7, 1))


def test_a_list_is_counted_and_a_rule_is_not() -> None:
    assert "list, 1,200 tickers" in judge_universe("equities", "list", 1200).says
    assert (
        "rule active, types CS, as many tickers as it finds"
        in judge_universe("equities", "rule active, types CS", None).says
    )


def test_waivers_that_have_run_out_are_named() -> None:
    alerts = Alerts(mute=(MUTE,))
    assert judge_waivers(alerts.expired(date(2025, 7, 1))) == []
    [finding] = judge_waivers(alerts.expired(date(2025, 7, 2)))
    assert finding.level is Level.WARNING
    assert "equities_daily until 2025-07-01 (the plan is being changed)" in finding.says

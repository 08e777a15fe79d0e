"""What the doctor says of the configuration."""

from datetime import date
from pathlib import Path

from bellwether.config import Alerts, Config, Mute
from bellwether.doctor.finding import Level
from bellwether.doctor.settings import judge_contracts, judge_universe, judge_waivers

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


def test_contracts_that_lack_or_contradict_the_decoders_are_named() -> None:
    shipped = Config.load(Path(__file__).parents[3] / "config", {}).contracts
    assert judge_contracts(shipped).level is Level.OK
    lacking = judge_contracts({name: contract for name, contract in shipped.items() if name != "news"})
    assert (lacking.level, "compared with nothing: news" in lacking.says) == (Level.WARNING, True)
    wrong = judge_contracts({**shipped, "news": shipped["splits"]})
    assert wrong.level is Level.PROBLEM
    assert "contracts/news.yaml: fields.title: is read and has no entry" in wrong.says

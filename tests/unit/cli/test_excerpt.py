"""What people are shown of gold."""

from pathlib import Path

from rich.console import Console

from bellwether.cli.excerpt import excerpt
from bellwether.config import Config
from bellwether.lake import Lake
from tests.builders import SESSION, publish_bars, publish_gold_of


def test_some_minutes_an_hour_after_the_open_and_none_of_an_empty_chain(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    (tmp_path / "config").mkdir()
    config = Config.load(tmp_path / "config", {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})
    publish_bars(lake, ["AAPL", "SPY"])
    publish_gold_of(lake, SESSION, config)
    minutes, chain = (excerpt(lake.root, dataset, SESSION) for dataset in ("minutes", "chain"))
    console = Console(width=160, record=True, file=(tmp_path / "out").open("w"))
    console.print(minutes)
    rows = [line.split("│") for line in console.export_text().splitlines() if "AAPL" in line]
    assert [row[2].strip() for row in rows] == ["10:30", "10:31", "10:32", "10:33", "10:34"]
    assert {row[3].strip() for row in rows} == {"-"}  # nothing was traded by then
    assert chain.row_count == 0

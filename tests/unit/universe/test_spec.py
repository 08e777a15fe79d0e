"""What a universe may say, and that everything else is refused with what to do."""

from pathlib import Path

import pytest

from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.universe.spec import ActiveTickers, TickerList, TopDollarVolume, UniverseSpec, shown


def universe(folder: Path, text: str, **files: str) -> UniverseSpec:
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content)
    (folder / "sources.yaml").write_text(f"equities: {{universe: {text}}}")
    return Config.load(folder, {}).source("equities").universe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[SPY, AAPL]", TickerList(required=("AAPL", "SPY"))),
        ("['ON', BRK.A]", TickerList(required=("BRK.A", "ON"))),
        ("{required: [SPY], best_effort: [XOM, AAPL]}", TickerList(required=("SPY",), best_effort=("AAPL", "XOM"))),
        ("{rule: active}", ActiveTickers(rule="active", types=("CS",))),
        (
            "{rule: active, types: [CS, ADRC], role: best_effort, required: [SPY]}",
            ActiveTickers(rule="active", types=("CS", "ADRC"), role="best_effort", required=("SPY",)),
        ),
        (
            "{rule: top_dollar_volume, count: 500, best_effort: [GME]}",
            TopDollarVolume(rule="top_dollar_volume", count=500, best_effort=("GME",)),
        ),
    ],
)
def test_a_universe_is_a_list_or_a_rule_with_roles(tmp_path: Path, text: str, expected: UniverseSpec) -> None:
    assert universe(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("content", "required", "best_effort"),
    [
        ("SPY\nAAPL\n", ("AAPL", "SPY"), ()),
        ("# mine\n\nSPY  # the index\n  AAPL\nON\n", ("AAPL", "ON", "SPY"), ()),
        ("\ufeffticker\r\nSPY\r\n", ("SPY",), ()),
        ("# from the desk\nticker,role\nSPY,required\nGME, best_effort\n", ("SPY",), ("GME",)),
    ],
    ids=["one a line", "comments and blanks", "a spreadsheet's CSV", "with roles"],
)
def test_a_file_holds_one_ticker_a_line(
    tmp_path: Path, content: str, required: tuple[str, ...], best_effort: tuple[str, ...]
) -> None:
    spec = universe(tmp_path, "{file: mine.csv}", mine=content)
    assert (spec.required, spec.best_effort, spec.origin) == (required, best_effort, "file mine.csv")


def test_a_file_may_be_extended_beside_it(tmp_path: Path) -> None:
    spec = universe(tmp_path, "{file: mine.csv, best_effort: [GME]}", mine="SPY")
    assert (spec.required, spec.best_effort) == (("SPY",), ("GME",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "the universe is empty: name at least one required ticker"),
        ("{best_effort: [SPY]}", "every ticker is best effort: name at least one required ticker"),
        ("{rule: active, role: best_effort}", "name at least one under required, or leave role at required"),
        ("[SPY, ../x]", r"equities\.universe\.required: .*'\.\./x' is not a ticker: a capital letter"),
        ("[SPY, spy, /etc/passwd, 'A B']", "'/etc/passwd' is not a ticker: .*; nor are 'A B', 'spy'"),
        ("[SPY, 17]", "'17' is not a ticker"),
        ("[SPY, ON]", "YAML reads ON, OFF, YES, NO, TRUE and FALSE as truth values; quote"),
        ("[SPY, QQQ, SPY, QQQ, XOM]", "listed more than once: QQQ, SPY; delete the surplus"),
        ("{required: [SPY], best_effort: [SPY]}", r"more than once \(as required and as best effort\): SPY"),
        ("{file: mine.csv, best_effort: [SPY]}", r"more than once \(as required and as best effort\): SPY"),
        ("SPY", "expected a list of tickers, {file: PATH} or {rule: NAME, ...}"),
        ("3", "expected a list of tickers"),
        ("{file: mine.csv, required: 3}", r"equities\.universe\.required: .*value: 3"),
        ("{rule: all}", "no such rule; there are active and top_dollar_volume"),
        ("{rule: [active]}", "no such rule"),
        ("{rule: active, count: 5}", r"equities\.universe\.count: Extra inputs"),
        ("{rule: active, types: [../x]}", r"equities\.universe\.types\.0: .*value: '../x'"),
        ("{rule: active, types: []}", r"equities\.universe\.types: .*at least 1"),
        ("{rule: top_dollar_volume}", r"equities\.universe\.count: Field required"),
        ("{rule: top_dollar_volume, count: 0}", r"equities\.universe\.count: .*value: 0"),
        ("{file: absent.csv}", r"cannot read .*absent\.csv: .*relative to the folder of the configuration"),
        ("{file: .}", "cannot read .*Is a directory"),
        ("{file: empty.csv}", r"empty\.csv holds no ticker: write one a line"),
        ("{file: header.csv}", r"the universe is empty"),
        ("{file: commas.csv}", r"commas\.csv, line 2: 'SPY,QQQ' has 2 columns, not 1 \(ticker\)"),
        (
            "{file: columns.csv}",
            "line 2: the header is 'ticker,weight'; it is 'ticker' or 'ticker,role'",
        ),
        ("{file: roles.csv}", r"roles\.csv, line 3: role 'maybe' of GME is neither required nor best_effort"),
        ("{file: paths.csv}", r"'\.\./x' is not a ticker"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_file_key_and_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    files = {
        "mine": "SPY",
        "empty": "# nothing yet\n",
        "header": "ticker,role\n",
        "commas": "AAPL\nSPY,QQQ\n",
        "columns": "ticker,weight\nSPY,0.3\n",
        "roles": "ticker,role\nSPY,required\nGME,maybe\n",
        "paths": "SPY\n../x\n",
    }
    with pytest.raises(ConfigError, match=message) as caught:
        universe(tmp_path, text, **files)
    assert str(tmp_path / "sources.yaml") in str(caught.value)


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"cannot read .*mine\.csv: .*decode"):
        universe(tmp_path, "{file: mine.csv}")


def test_a_list_and_a_file_that_say_the_same_have_one_hash_and_any_difference_another(tmp_path: Path) -> None:
    as_file = universe(tmp_path, "{file: mine.csv}", mine="SPY\nAAPL")
    said = [
        universe(tmp_path, text)
        for text in ("[AAPL, SPY]", "[AAPL]", "{required: [SPY], best_effort: [AAPL]}", "{rule: active}")
    ]
    assert said[0].hash == as_file.hash
    assert len({spec.hash for spec in said}) == 4


def test_a_long_list_of_names_is_shown_in_part() -> None:
    assert shown(["SPY", "QQQ"]) == "SPY, QQQ"
    assert shown(f"T{i:02d}" for i in range(30)).endswith("T19 and 10 more")

"""Every key has a default, and every mistake names file, key and value."""

from datetime import date
from pathlib import Path

import pytest

from bellwether.clock import SystemClock
from bellwether.config import Config, RetryPolicies, RetryRule
from bellwether.errors import BadResponse, ConfigError, RateLimited, ServerError, Truncated, Unauthorized
from bellwether.universe.spec import TickerList

PROJECT = Path(__file__).parents[3]


def test_shipped_files_state_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    shipped, defaults = Config.load(PROJECT / "config", {}), Config.load(tmp_path / "config", {})
    assert shipped.hash == defaults.hash
    assert shipped.alerts == defaults.alerts
    assert shipped.settings.lake.root == str(PROJECT / ".local/lake")
    assert shipped.settings.limits.folder == str(PROJECT / ".local/limits")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("settings", "lake: {compression: bz2}", r"settings\.yaml: lake\.compression: .*'bz2'"),
        ("settings", "lake: {rot: x}", r"settings\.yaml: lake\.rot: .*'x'"),
        ("settings", "ingest: {batch_tickers: 0}", r"settings\.yaml: ingest\.batch_tickers: .*value: 0"),
        ("settings", "lake: 3", r"settings\.yaml: lake: .*value: 3"),
        ("settings", "- a list", "expected keys and values, found list"),
        ("sources", "equities: {universe: []}", r"sources\.yaml: equities\.universe: .*the universe is empty"),
        ("sources", "equities: {universe: {required: SPY}}", r"equities\.universe\.required: .*value: 'SPY'"),
        ("sinks", "equities: {row_group_rows: 10}", r"sinks\.yaml: equities\.row_group_rows"),
        ("retry_policy", "errors: {RateLimited: {attempts: 0}}", r"retry_policy\.yaml: errors\.RateLimited\.attempts"),
        ("retry_policy", "default: {airflow_retries: 6}", r"retry_policy\.yaml: default\.airflow_retries: .*value: 6"),
        ("retry_policy", "errors: {ServerErr: {}}", r"retry_policy\.yaml: errors: .*no such error: ServerErr"),
        ("retry_policy", "patience_s: -1", r"retry_policy\.yaml: patience_s: .*value: -1"),
        ("alerts", "minimum_severity: all", r"alerts\.yaml: minimum_severity: .*'all'"),
        ("alerts", "mute: [{dag_id: equities_daily, until: 2026-01-31}]", r"alerts\.yaml: mute\.0\.reason: .*required"),
        ("settings", "lake: {root: [", "not valid YAML"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key(tmp_path: Path, file: str, content: str, message: str) -> None:
    (tmp_path / f"{file}.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        Config.load(tmp_path, {})


def test_environment_overrides_files(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("ingest: {batch_tickers: 5}")
    env = {
        "BELLWETHER__INGEST__BATCH_TICKERS": "7",
        "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[SPY, AAPL]",
        "BELLWETHER__LAKE__ROOT": "s3://bucket/lake",
    }
    config = Config.load(tmp_path, env)
    assert config.settings.ingest.batch_tickers == 7
    assert config.source("equities").universe == TickerList(required=("AAPL", "SPY"))
    assert config.settings.lake.root == "s3://bucket/lake"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("BELLWETHER__LAKE__ROOT", "[unclosed", "BELLWETHER__LAKE__ROOT: not valid YAML"),
        ("BELLWETHER__SOURCES__EQUITIES__UNIVERSE__COUNT", "5", "universe is a plain value or list, which has no keys"),
    ],
)
def test_a_broken_override_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.load(PROJECT / "config", {name: value})


def test_a_long_wrong_value_is_cut(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text(f"equities: {{universe: {[f'x{i}' for i in range(8000)]}}}")
    with pytest.raises(ConfigError, match=r"and 7979 more \(value: .* \.\.\.\)$") as caught:
        Config.load(tmp_path, {})
    assert len(str(caught.value)) < 1000


def test_the_folder_comes_from_the_environment_when_not_given(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("ingest: {batch_tickers: 3}")
    assert Config.load(env={"BELLWETHER_CONFIG_DIR": str(tmp_path)}).settings.ingest.batch_tickers == 3


def test_the_hash_ignores_where_the_lake_is_and_sees_what_shapes_data(tmp_path: Path) -> None:
    plain = Config.load(tmp_path, {})
    assert Config.load(tmp_path, {"BELLWETHER__LAKE__ROOT": "/elsewhere"}).hash == plain.hash
    assert Config.load(tmp_path, {"BELLWETHER__LIMITS__FOLDER": "/elsewhere"}).hash == plain.hash
    assert Config.load(tmp_path, {"BELLWETHER__LAKE__COMPRESSION": "zstd"}).hash != plain.hash


def test_rules_follow_the_class_of_the_error_and_its_ancestors() -> None:
    policies = RetryPolicies.model_validate(
        {"default": {"attempts": 4}, "errors": {"BadResponse": {"attempts": 2}, "Unauthorized": {"attempts": 1}}}
    )
    url = "http://vendor"
    assert policies.rule_for(Truncated("cut", url=url)).attempts == 2
    assert policies.rule_for(BadResponse("odd", url=url)).attempts == 2
    assert policies.rule_for(Unauthorized("no", url=url)).attempts == 1
    assert policies.rule_for(ServerError("500", url=url)) == RetryRule(attempts=4)


def test_default_rules_wait_out_the_vendors_minute() -> None:
    assert RetryPolicies().rule_for(RateLimited("slow down", url="http://vendor")).base_s == 60


def test_a_waiver_holds_to_the_end_of_its_last_day(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(
        "mute: [{dag_id: equities_daily, reason: the key is replaced, until: 2026-01-31}]"
    )
    alerts = Config.load(tmp_path, {}).alerts
    assert alerts.expired(date(2026, 1, 31)) == []
    assert alerts.expired(date(2026, 2, 1)) == list(alerts.mute)


def test_no_shipped_waiver_has_expired() -> None:
    assert Config.load(PROJECT / "config", {}).alerts.expired(SystemClock().now().date()) == []

"""The assets through which DAGs know of each other.

A dataset's own asset says "this partition changed"; `session_ready` says "every required input of this
session stands and gold does not know it yet". Consolidation listens to the second only: a plain AND
of partitioned assets does not hold when one of them is cleared alone.
"""

from airflow.sdk import Asset

EQUITIES = Asset(name="equities", uri="bellwether://clean/equities", group="bellwether")
DAILY_BARS = Asset(name="daily_bars", uri="bellwether://clean/daily_bars", group="bellwether")
CONTRACTS = Asset(name="contracts", uri="bellwether://clean/contracts", group="bellwether")
OPTIONS = Asset(name="options", uri="bellwether://clean/options", group="bellwether")
OPTIONS_SNAPSHOT = Asset(name="options_snapshot", uri="bellwether://clean/options_snapshot", group="bellwether")
INDICES = Asset(name="indices", uri="bellwether://clean/indices", group="bellwether")
NEWS = Asset(name="news", uri="bellwether://clean/news", group="bellwether")
SPLITS = Asset(name="splits", uri="bellwether://clean/splits", group="bellwether")
DIVIDENDS = Asset(name="dividends", uri="bellwether://clean/dividends", group="bellwether")
RATES = Asset(name="rates", uri="bellwether://clean/rates", group="bellwether")
TICKERS = Asset(name="tickers", uri="bellwether://clean/tickers", group="bellwether")
EQUITIES_LIVE = Asset(name="equities_live", uri="bellwether://live/equities_live", group="bellwether")
OPTIONS_LIVE = Asset(name="options_live", uri="bellwether://live/options_live", group="bellwether")
INDICES_LIVE = Asset(name="indices_live", uri="bellwether://live/indices_live", group="bellwether")
NEWS_LIVE = Asset(name="news_live", uri="bellwether://live/news_live", group="bellwether")
MINUTES = Asset(name="minutes", uri="bellwether://gold/minutes", group="bellwether")
CHAIN = Asset(name="chain", uri="bellwether://gold/chain", group="bellwether")
SESSION_READY = Asset(name="session_ready", uri="bellwether://session_ready", group="bellwether")

BROADCAST = {"equities": EQUITIES_LIVE, "options": OPTIONS_LIVE, "indices": INDICES_LIVE}
"""By dataset, what is published of its broadcasts."""

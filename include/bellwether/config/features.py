"""What `settings.yaml` may say of the features of a minute."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from bellwether.config.model import Model

Indicator = Literal["sma", "ema", "rsi", "macd", "bollinger", "atr", "vwap", "obv", "adx", "stochastic"]
Bars = Annotated[int, Field(ge=2, le=1000)]
Minutes = Annotated[int, Field(ge=1, le=10_000)]


class IndicatorSettings(Model):
    """Which technical indicators, and their lengths in bars: minutes in which the ticker traded.

    Attributes
    ----------
    engine
        `fast`, or the reference it equals, pandas-ta without TA-Lib.
    names
        Which are computed; the columns of the others are null.
    sma_bars, ema_bars, rsi_bars, atr_bars, adx_bars
        Length of each.
    macd_fast_bars, macd_slow_bars, macd_signal_bars
        Lengths of the MACD's two averages, and of its signal.
    bollinger_bars, bollinger_deviations
        Length, and how many standard deviations of a sample (n - 1) the bands are away from the average.
    stochastic_bars, stochastic_smooth_bars, stochastic_signal_bars
        Length of %K, of the average that slows it, and of %D over it.
    """

    engine: Literal["fast", "pandas_ta"] = "fast"
    names: tuple[Indicator, ...] = get_args(Indicator)
    sma_bars: Bars = 20
    ema_bars: Bars = 20
    rsi_bars: Bars = 14
    macd_fast_bars: Bars = 12
    macd_slow_bars: Bars = 26
    macd_signal_bars: Bars = 9
    bollinger_bars: Bars = 20
    bollinger_deviations: float = Field(default=2.0, gt=0, le=10)
    atr_bars: Bars = 14
    adx_bars: Bars = 14
    stochastic_bars: Bars = 14
    stochastic_smooth_bars: Bars = 3
    stochastic_signal_bars: Bars = 3

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.macd_fast_bars >= self.macd_slow_bars:
            msg = "macd_fast_bars must be less than macd_slow_bars"
            raise ValueError(msg)
        return self


class MomentumSettings(Model):
    """Over how many minutes log returns are taken, one item of the list for each."""

    windows_min: tuple[Minutes, ...] = Field(default=(1, 5, 15, 30, 60), min_length=1)


class NewsSettings(Model):
    """What is computed of news.

    Attributes
    ----------
    windows_min
        Lengths of the trailing windows in minutes of the clock, one item of the lists for each. A session's news begins
        with the close before; a window of more than 12 hours would reach behind it, with extended hours at 04:00.
    backfill_latency_s
        How long after its publication an article counts as known that was not captured live.
    """

    windows_min: tuple[Annotated[int, Field(ge=1, le=720)], ...] = Field(default=(15, 60, 390), min_length=1)
    backfill_latency_s: int = Field(default=60, ge=0, le=86_400)


class AlignSettings(Model):
    """How old what is carried to a minute may be, in seconds at its end; older is null."""

    vix_max_age_s: int = Field(default=900, ge=0)
    spot_max_age_s: int = Field(default=300, ge=0)


class FeatureSettings(Model):
    """The features of a minute.

    Attributes
    ----------
    extended_hours
        Rows from 04:00 to 20:00 instead of the regular session.
    warmup_sessions
        How many sessions before it indicators and momentum begin with.
    """

    extended_hours: bool = False
    warmup_sessions: int = Field(default=1, ge=0, le=20)
    align: AlignSettings = AlignSettings()
    indicators: IndicatorSettings = IndicatorSettings()
    momentum: MomentumSettings = MomentumSettings()
    news: NewsSettings = NewsSettings()

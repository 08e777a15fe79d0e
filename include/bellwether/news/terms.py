"""What words mean in financial news, where a general lexicon says nothing or something else.

Valences are on VADER's scale, -4 to 4. From knowledge of the field, not from any published word list: those in
use either forbid commercial use (Loughran-McDonald) or name no licence (Henry). Checked against the even rows of
`tests/fixtures/headlines.csv` alone; docs/sentiment.md has the figures for both halves and for headlines written later.
"""

import re
from collections.abc import Iterator
from typing import Final

_VALENCES: Final[dict[float, str]] = {
    # What the shares themselves did outweighs why.
    3.0: """
        soar, soars, soared, soaring, surge, surges, surged, surging, skyrocket, skyrockets, skyrocketed, rockets
        rally, rallies, rallied, rallying, all-time high, record high, record highs
    """,
    2.5: """
        jump, jumps, jumped, jumping, climb, climbs, climbed, climbing, rebound, rebounds, rebounded, pop, pops, popped
        rise, rises, rose, risen, rising, gain, gains, gained, advances, advanced, higher, spikes higher, leaps, leap
        best week, best day, best month, snapping losing streak, close higher, closes higher
        upgrade, upgrades, upgraded, outperform, outperforms, outperformed, overweight, top pick, strong buy
        crush, crushes, crushed, smash, smashes, smashed, blowout, better than expected, better-than-expected
        better than feared, not as bad as feared, not as bad, less severe, more than expected, stronger than expected
        beat, beats, beating, tops, topped, topping, exceeds, exceeded, surpass, surpasses, surpassed, above estimates
        above consensus, above expectations, ahead of consensus, ahead of estimates, ahead of expectations
        premium, buyout, takeover offer, takeover interest, breakthrough, approves, approved, approval, fda approval
        raises dividend, raises outlook, raises guidance, raises forecast, swings to a profit, swings to profit
        meets main goal, meets primary endpoint, met primary endpoint, meets endpoint, green light
        throws out, thrown out, dismisses, dismissal, overturns, overturned, cleared of, wins dismissal
    """,
    1.8: """
        raise, raises, raised, raising, boost, boosts, boosted, boosting, hike, hikes, hiked, lifts, lifted, increases
        expand, expands, expanded, expanding, expansion, doubles, doubled, triples, tripled, accelerates, accelerated
        record, strong, stronger, robust, upbeat, bullish, upside, undervalued, optimistic, outstrips, turnaround
        profit, profits, profitable, profitability, growth, grow, grows, grew, growing, recovery, recovers, recovered
        win, wins, won, winning, lands, secures, secured, awarded, approve, clears, cleared, passes, passed
        buyback, buybacks, repurchase, repurchases, reinstates, special dividend, dividend increase, dividend increases
        investment grade, partnership, exemption, eases, eased, ease, cools, cooled, cooling, solid, hopes, cheer
        cheers, momentum, milestone, praise, praises, insider buying, insiders buy
    """,
    0.8: "revenue growth, demand for, hire, hires, hiring, buy, innovative, recommends, recommended, refinancing",
    # General words that carry no judgement here: instruments, trades of the market, parts of names.
    0.0: """
        share, shares, interest, interested, interests, trust, security, securities, credit, value, united, party, vice
        fund, asset, energy, natural, gold, care, join, joins, joined, agree, agrees, agreed, agreement, play, playing
        defense, matter, chance, like, likes, original, creative, special, holiday, popular, gross, cancer, drug, fire
        leading, leave, leaves, leaving, cash, award, demand, demands, please, vision, hope, legal, best, better
        alert, alerts, engage, dear, wealth, worth, positive, negative, free, freedom, active, help, helps, grand
        debt, tax, cut, pay, pays, stop, arrest, capital, support, heart, brilliant, sunshine, smart, ideal, yes, no
        growth stock, growth stocks, growth fund, buy or sell, flat, consumer confidence
    """,
    -0.8: "delay, delays, delayed, pauses, paused, cautious, uncertain, uncertainty, volatile, volatility, overhang",
    -1.8: """
        cuts, cutting, slashes, slashed, slash, trims, trimmed, lowers, lowered, reduces, reduced, halves, halved
        weak, weaker, weakness, soft, softer, sluggish, slows, slowed, slowing, slowdown, stalls, stalled, stagnant
        loss, losses, deficit, shortfall, warns, warned, warning, warnings, concern, concerns, worries, worry, fears
        disappoints, disappointing, disappointed, bearish, overvalued, downside, headwind, headwinds, tariff, tariffs
        lawsuit, lawsuits, sue, sues, sued, suing, litigation, class action, suit, probe, probes, investigation
        investigations, subpoena, antitrust, fined, fine, penalty, penalties, recession, inflation
        layoff, layoffs, lays off, laid off, job cuts, eliminate, eliminates, closures, shuts, strike, strikes
        dilution, diluting, dilutes, dilutive, writedown, writedowns, write-down, impairment, restates, restatement
        breach, breaches, breached, hackers, hacked, resigns, resigned, quits, ousted, steps down abruptly, abruptly
        cancels, cancelled, canceled, loses, losing, short-lived, curbs, glut, excess inventory, pressure
        under pressure, short seller, short sellers, unload, unloads, insider selling, blasts, avoid, balk, balks
        doubt, doubts, contamination, defect, defects, hazard, grounded, shortage, shortages, bottleneck, bottlenecks
        below estimates, below consensus, below expectations, less than expected, suspends, suspended, withdraws
        withdrawn, withdrew, walks away, no longer expects, raise costs, raises costs, raised costs
        antitrust suit, lead plaintiff
    """,
    -2.5: """
        fall, falls, fell, fallen, falling, drop, drops, dropped, dropping, slip, slips, slipped, slipping, slide
        slides, slid, sliding, sink, sinks, sank, sinking, decline, declines, declined, declining, lower, sheds, shed
        dips, dip, retreat, retreats, retreated, slump, slumps, slumped, slumping, shrinks, shrank, shrink
        losing streak, selloff, sell-off, downgrade, downgrades, downgraded, underperform, underperforms
        underweight, sell rating
        sell-rated, miss, misses, missed, missing, falls short, fell short, short of
        worse than expected, worse-than-expected
        recall, recalls, recalled, halts, halted, rejects, rejected, rejection, clinical hold, fails, failed, failure
        profit warning, cut to, junk, swings to a loss, swings to loss, widens, widened, not enough, fails to, block
        blocks, blocked, collapses, collapsed, death, deaths, wider loss, net loss
    """,
    -3.0: """
        plunge, plunges, plunged, plunging, plummet, plummets, plummeted, tumble, tumbles, tumbled, tumbling, crash
        crashes, crashed, crater, craters, cratered, nosedive, nosedives, tank, tanks, tanked, sinks
        fraud, bankruptcy, bankrupt, insolvency, insolvent, default, defaults, defaulted, delisting, delisted, indicted
        charged with, going concern, embezzlement, ponzi
    """,
}

# What one would rather have less of: with these, falling is good news and rising is bad.
_BURDEN = (
    "loss|losses|debt|costs?|expenses?|bad loans|delinquencies|charge-offs|defaults|unemployment|jobless claims|claims|"
    "inflation|churn|bond yields|yields|borrowing costs|layoffs|declines|fears?|worries|concerns|risks?|tensions|"
    "inventor(?:y|ies)|backlogs?|tariffs?|deficit|volatility|volatility gauge|short interest"
)
_LESS = (
    "narrow(?:s|ed|er)?|shrink(?:s|ing)?|shrank|shrunk|falls?|fell|drops?|dropped|declined?|declines|ease[sd]?|easing|"
    "fade[sd]?|fading|cool(?:s|ed|ing)?|slow(?:s|ed|ing)?|recedes?|smaller|lower|fewer|reduce[sd]?|cuts?|cutting|"
    "pay(?:s|ing)? (?:off|down)|paid (?:off|down)|trim(?:s|med)?|slash(?:es|ed)?|shallower|snap(?:s|ped|ping)"
)
_MORE = (
    "widen(?:s|ed|ing)?|wider|grow(?:s|ing)?|grew|rise[sn]?|rose|rising|climb(?:s|ed)?|jump(?:s|ed)?|surge[sd]?|soar(?:s|ed)?|"
    "mount(?:s|ed|ing)?|spike[sd]?|higher|bigger|larger|deepen(?:s|ed)?|swell(?:s|ed)?|increase[sd]?|increasing|raise[sd]?|hot"
)

PHRASES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), token)
    for pattern, token in (
        (
            rf"(?:{_BURDEN})(?: \w+)? (?:{_LESS})|(?:{_LESS}) (?:[\w-]+ ){{0,2}}(?:{_BURDEN}|losing streak)",
            "burden_eases",
        ),
        (rf"(?:{_BURDEN})(?: \w+)? (?:{_MORE})|(?:{_MORE}) (?:\w+ )?(?:{_BURDEN})", "burden_grows"),
        # The library's own word for "what follows is the lesser half".
        (r"even as|even though|although|shrugs off|shrugged off|shrugging off", "despite"),
    )
)
"""Pattern and the token that takes its place, in this order."""


def _terms() -> Iterator[tuple[str, float]]:
    for valence, terms in _VALENCES.items():
        for line in terms.splitlines():
            for term in filter(None, map(str.strip, line.split(","))):
                yield term, valence


TERMS: Final[dict[str, float]] = {**dict(_terms()), "burden_eases": 2.2, "burden_grows": -2.2}
"""Valence by term, in lower case; a term may be of several words."""

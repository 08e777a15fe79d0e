"""Reads answers by the contracts in force, on the way from the vendor and out of raw files alike.

What fits costs a look at a page's first row and its last. What does not is compared slowly; where accepting the changes
would make it readable the answer goes on by that, so that all of it comes and is kept, and whoever asked is told that
it is not to be published.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from json import JSONDecoder
from typing import Any, Final

import msgspec

from bellwether.config import Config, Contract
from bellwether.drift.change import Change, accepted, in_words, why_held
from bellwether.drift.forms import looser
from bellwether.drift.ledger import contracts_in_force
from bellwether.drift.shape import changes_rows, differences, fit, names_in, names_known, rows_of
from bellwether.errors import BadResponse, Drifted, DriftError, Truncated
from bellwether.lake import Lake
from bellwether.sources.aggregates import NAME
from bellwether.sources.body import refusal
from bellwether.sources.chain import Chain, take
from bellwether.sources.raw import RawPage, Request
from bellwether.sources.rest import PolygonRest

_FEW_BYTES = 4096
_LONGEST_ROW = 1 << 16
_DIGITS = b"0123456789."
_MOST_USUAL = 64
_NONE: Final[frozenset[str]] = frozenset()
_any_json = JSONDecoder()

_DATASETS: Final = {"treasury_yields": "rates", "grouped_daily": "daily_bars"}
"""Whose answers an endpoint gives, where it is called otherwise."""


def dataset_of(request: Request) -> str:
    """Return the dataset whose contract an answer is read by: bars by what they are of, lists by their endpoint."""
    endpoint = request.endpoint
    if endpoint != NAME:
        return _DATASETS.get(endpoint, endpoint)
    ticker = request.arguments["ticker"]
    if ticker[1:2] != ":":
        return "equities"
    return "indices" if ticker[0] == "I" else "options"


def by_contracts(rest: PolygonRest, lake: Lake, config: Config) -> PolygonRest:
    """Return the same access, whose answers are read by the contracts in force and refused where they break them."""
    return rest.reading(Reader(contracts_in_force(lake, config), goes_on=False).take)


class Reader:
    """Reads pages, and collects what differs until it is asked for.

    Parameters
    ----------
    contracts
        Those in force, by dataset; answers of others are read as ever.
    goes_on
        Whether an answer that breaks its contract is read as if that were accepted. Who does not hold it back must not.
    """

    def __init__(self, contracts: Mapping[str, Contract], *, goes_on: bool) -> None:
        self._goes_on = goes_on
        self._forms = {dataset: _Form(dataset, contract) for dataset, contract in contracts.items()}
        self._found: dict[Change, None] = {}

    def drain(self) -> tuple[Change, ...]:
        """Return how the answers read since the last call differ."""
        found, self._found = tuple(sorted(self._found)), {}
        return found

    def take(self, chain: Chain[Any], page: RawPage) -> tuple[str | None, str | None]:
        """Add a page to its chain, as `Chain.take` says.

        Raises
        ------
        Drifted
            Its rows are, as a rule, not what the contract says, and nobody can read them, or is to.
        BadResponse
            It is not the next page of the answer to what was asked.
        """
        dataset = dataset_of(chain.request)
        form = self._forms.get(dataset)
        if form is None:
            return take(chain, page)
        try:
            step = form.take(chain, page) if form.asks_otherwise else take(chain, page)
        except Truncated:
            raise
        except BadResponse as error:
            return self._take_drifted(chain, page, form, error)
        if unknown := form.unknown(page.body):
            changes = form.differences(page, unknown)
            if not self._goes_on and why_held(changes):
                raise _drifted(changes, page, "nothing of it was read")
            self._note(changes)
        return step

    def _take_drifted(
        self, chain: Chain[Any], page: RawPage, form: "_Form", error: BadResponse
    ) -> tuple[str | None, str | None]:
        changes = form.differences(page)
        if not why_held(changes):
            raise error
        if not self._goes_on:
            raise _drifted(changes, page, error.message) from error
        self._note(changes)
        try:
            return _Form(form.dataset, _proposed(form.contract, changes, page)).take(chain, page)
        except DriftError as left:
            raise _drifted(changes, page, str(left)) from error
        except BadResponse:
            raise _drifted(changes, page, error.message) from error
        finally:
            chain.looser = form.looser  # the next page is asked for all again

    def _note(self, changes: Iterable[Change]) -> None:
        self._found |= dict.fromkeys(changes)


def _drifted(changes: Iterable[Change], page: RawPage, message: str) -> Drifted:
    words = f"{in_words(changes)}. {message}"
    error = Drifted(words, url=page.url, status=page.http_status, request_id=page.request_id)
    error.pages = (page,)
    return error


def _proposed(contract: Contract, changes: Iterable[Change], page: RawPage) -> Contract:
    for change in changes:
        if change.is_breaking:
            contract = accepted(contract, change, since=date.min, since_utc=page.received_utc)
    return contract


class _Form:
    """A contract, made ready for many pages."""

    def __init__(self, dataset: str, contract: Contract) -> None:
        self.dataset = dataset
        self.contract = contract
        self._known = names_known(contract)
        self._is_flat = not any(
            "." in name or field.type in {"object", "list"} for name, field in contract.fields.items()
        )
        self._changes_rows = changes_rows(contract)
        self.looser = looser(dataset, contract)
        self.asks_otherwise = self._changes_rows or bool(self.looser.paths)
        self._read = msgspec.json.Decoder().decode
        # First rows without their digits: a page of a few bars is read in microseconds, and most begin alike. A name
        # that differs from a known one by digits alone passes, and is noticed where the known one lacks.
        self._usual: set[bytes] = set()
        self._passing: dict[frozenset[str], tuple[Change, ...]] = {}

    def take(self, chain: Chain[Any], page: RawPage) -> tuple[str | None, str | None]:
        """Add a page to its chain, read by this contract; `BadResponse` where it cannot be."""
        chain.looser = self.looser
        if self.looser.texts and (wrong := in_words(self.differences(page))):  # the decoder takes any text
            raise refusal(wrong, page.url, page.request_id)
        return take(chain, self._fitted(page) if self._changes_rows else page)

    def _fitted(self, page: RawPage) -> RawPage:
        """Return a page whose body the decoder reads."""
        try:
            content = msgspec.json.decode(page.body)
            fit(rows_of(content), self.contract, page.received_utc)
            return replace(page, body=msgspec.json.encode(content))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return page  # whatever it is, the decoder will say so
        except OverflowError:
            message = "a number is too large to be one in its unit"
            raise refusal(message, page.url, page.request_id) from None

    def unknown(self, body: bytes) -> frozenset[str]:
        """Return the unknown names in the first row of a page, and in the last of a long one of flat rows."""
        start = body.find(b"[{") + 1
        is_short = len(body) < _FEW_BYTES
        if is_short and body[start : body.find(b"}", start) + 1].translate(None, _DIGITS) in self._usual:
            return _NONE
        results = body.find(b'"results"')
        start = start or body.find(b"{", results)
        if results < 0 or start < results:
            return _NONE  # a page without rows
        names = self._names(body, start)
        if self._is_flat and self._known.issuperset(names):
            if is_short and len(self._usual) < _MOST_USUAL:
                self._usual.add(body[start : body.find(b"}", start) + 1].translate(None, _DIGITS))
            elif not is_short:
                names = self._names(body, body.rfind(b"{"))
        return frozenset(names) - self._known

    def differences(self, page: RawPage, unknown: frozenset[str] = frozenset()) -> tuple[Change, ...]:
        """Return how a page's rows differ; that a page of these unknown names can be read is found once."""
        if unknown in self._passing:
            return self._passing[unknown]
        try:
            rows = rows_of(msgspec.json.decode(page.body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ()
        found = tuple(differences(self.dataset, rows, self.contract, page.received_utc))
        if unknown and not any(change.is_breaking for change in found):
            self._passing[unknown] = found
        return found

    def _names(self, body: bytes, start: int) -> Collection[str]:
        """Return the names in the row that begins there."""
        end = body.find(b"}", start) if self._is_flat else body.find(b"},{", start)
        try:
            row = self._read(body[start : end + 1])
        except msgspec.DecodeError:  # the row holds what it should not, or is the only one
            text = body[start : start + _LONGEST_ROW].decode("utf-8", errors="replace")
            try:
                row = _any_json.raw_decode(text)[0]
            except ValueError:
                return ()  # longer than any row, and read by the decoder all the same
        return row if self._is_flat else set(names_in(row))

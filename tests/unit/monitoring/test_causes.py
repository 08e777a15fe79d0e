"""Every error is somebody's."""

import pytest

from bellwether.errors import BellwetherError
from bellwether.monitoring.alerts import blame_of

EXPECTED = {
    "entitlement": {"NotEntitled", "OutsideHistory", "Unauthorized", "StreamRefused"},
    "rate_limit": {"RateLimited"},
    "vendor_late": {"NotPublishedYet", "GapsLeft"},
    "vendor": {"VendorError", "ServerError", "ConnectionFailed", "BadResponse", "Truncated", "CursorRefused"},
    "drift": {"Drifted", "DriftError"},
    "quality": {"QualityError"},
    "ours": {"BadRequest", "LakeError", "KeyError", "nonsense", "ClassVar", "Blame", "", BellwetherError.__name__},
}


@pytest.mark.parametrize(
    ("blame", "name"), [(blame, name) for blame, names in EXPECTED.items() for name in sorted(names)]
)
def test_the_name_of_an_errors_class_tells_whose_it_is(blame: str, name: str) -> None:
    assert blame_of(name) == blame

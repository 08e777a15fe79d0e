"""Environment in which nothing comes too late, for tests and soaks that revise sessions which are long over."""

from typing import Final

NEVER_LATE: Final = {"BELLWETHER__LATE": "{rest_sessions: null, news_h: null}"}

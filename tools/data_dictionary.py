"""Write `docs/data-dictionary.md`."""

from pathlib import Path

from bellwether.dictionary import markdown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"

if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")

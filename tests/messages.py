"""The texts of the portal and their translations: what of the source is shown there, and the catalogues of it.

As a program (`make messages`) it brings each catalogue up to date: new texts are added without a translation, which the
tests then ask for; those that are gone are removed; the `.mo` is compiled. Babel does it, so GNU gettext is not needed.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "config/locale"
PARTS = ("code", "filter", "headers", "state", "timeline", "timing", "values")
# What the portal is made of, and the e-mails that affiliates get.
SHOWN = (
    *("affiliates/portal/*.py", "templates/portal/*.html", "templates/theme/*.html", "templates/[45]*.html"),
    *(f"templates/admin/callbacks/log/{name}.html" for name in PARTS),
    *(f"templates/admin/callbacks/setup/{name}.html" for name in ("template", "endpoint_health")),
    "templates/admin/callbacks/reports/nothing_sent.html",
    *("config/theme/templatetags/*.py", "callbacks/templatetags/deliveries.py"),
    *(
        "callbacks/egress/outcome.py",
        "callbacks/egress/soft_failures.py",
        "callbacks/models/*.py",
        "callbacks/log/explain.py",
        "callbacks/delivery/health.py",
    ),
    *("callbacks/reports/callback_health.py", "config/monitoring/mail.py", "config/monitoring/preferences.py"),
    "config/db_outages.py",
)
PLACEHOLDER = re.compile(r"%\([a-z_.]+\)[sd]|\{[a-z_]+\}")
KEYWORDS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "Sentence"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}


def catalogues() -> list[Path]:
    return sorted(LOCALE.glob("*/LC_MESSAGES/django.po"))


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name, domain="django")


def marked(pattern: str) -> Iterator[tuple[Path, int, str | tuple[str, ...], str | None]]:
    """Each text that is marked for translation in the files of this pattern: file, line, text and context."""
    for path in sorted(ROOT.glob(pattern)):
        source = path.read_text("utf-8")
        if path.suffix == ".html":  # to what reads as Python, on lines without indents
            source = "\n".join(line.strip() for line in templatize(source).splitlines())
        for line, text, _, context in extract("python", io.BytesIO(source.encode()), KEYWORDS, ["Translators:"]):
            yield path.relative_to(ROOT), line, text, context


def wanted(patterns: tuple[str, ...] = SHOWN) -> Catalog:
    """A catalogue of what these files show, without translations."""
    found = Catalog(domain="django")
    for pattern in patterns:
        for path, _, text, context in marked(pattern):
            found.add(text, locations=[(str(path), None)], context=context)
    return found


def compiled(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def main() -> None:
    template = wanted()
    for path in catalogues():
        catalogue = read(path)
        catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, sort_output=True, omit_header=False)
        path.with_suffix(".mo").write_bytes(compiled(catalogue))
        missing = sum(1 for message in catalogue if message.id and not message.string)
        print(f"{path.relative_to(ROOT)}: {len(catalogue)} texts, {missing} without a translation")


if __name__ == "__main__":
    main()

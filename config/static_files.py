"""How style sheets and scripts reach a browser: few, compressed, and kept for as long as they stay what they are.

`site.css` imports every style sheet and `site.js` every module. As they are written they work by themselves, in DEBUG
mode above all. `collect`, at the start of the web process, makes one file of each, gives every file a name with a hash
of its content, and compresses it. Serving is WhiteNoise's.
"""

import fcntl
import posixpath
import re
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage

BUNDLES = ("site.css", "site.js")
STYLE_IMPORT = re.compile(r'^@import "([^"]+)";\n', re.MULTILINE)
STYLE_URL = re.compile(r'url\("(?!data:)([^"]+)"\)')
MODULE_IMPORT = re.compile(r'^import (?:(\{[^}]+\}) from )?"([^"]+)";\n', re.MULTILINE)
MODULE_EXPORT = re.compile(r"^export (?=(?:async function|function|const|class) (\w+))", re.MULTILINE)
SOURCE_MAP = re.compile(r"^(?://|/\*)# sourceMappingURL=.*$", re.MULTILINE)
HASH = re.compile(r"\.[0-9a-f]{12}(?=\.[a-z]+\Z)")

log = structlog.get_logger(__name__)


# --- bundles -----------------------------------------------------------------------
def bundle(name: str) -> str:
    """The file of that name with all that it imports in it."""
    return _style(name) if name.endswith(".css") else "".join(_modules(name, {}))


def _source(name: str) -> str:
    path = finders.find(name)
    if path is None:
        raise ValueError(f"{name} is imported, and there is no such file.")
    return Path(str(path)).read_text("utf-8")


def _beside(name: str, reference: str) -> str:
    """The name of what a file refers to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), reference))


def _style(name: str) -> str:
    """Addresses in it become those that are right in a file at the top."""
    text = STYLE_URL.sub(lambda found: f'url("{_beside(name, found[1])}")', _source(name))
    return STYLE_IMPORT.sub(lambda found: _style(_beside(name, found[1])), text)


def _modules(name: str, places: dict[str, int]) -> Iterator[str]:
    """Each module once, after those that it imports, as a function that returns what it exports."""
    places[name] = -1  # not there yet
    text = _source(name)
    imports = [(names, _beside(name, reference)) for names, reference in MODULE_IMPORT.findall(text)]
    for _, imported in imports:
        if imported not in places:
            yield from _modules(imported, places)
        elif places[imported] < 0:
            raise ValueError(f"{imported} is imported by what it imports.")
    places[name] = sum(place >= 0 for place in places.values())
    lines = [f"const {names} = module{places[imported]};\n" for names, imported in imports if names]
    exports = ", ".join(MODULE_EXPORT.findall(text))
    text = MODULE_EXPORT.sub("", MODULE_IMPORT.sub("", text))
    if wrong := re.search(r"^(?:import|export)\b.*", text, re.MULTILINE):
        raise ValueError(f"{name} has a line that no bundle can be made of: {wrong[0]}")
    yield f"const module{places[name]} = (() => {{\n{''.join(lines)}{text}return {{ {exports} }};\n}})();\n"


# --- names and places ----------------------------------------------------------------
class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # WhiteNoise brings no types
    """WhiteNoise's, with bundles. What was not collected keeps its plain name, under which it is served too."""

    def load_manifest(self) -> tuple[dict[str, str], str]:
        """One that cannot be read, of which a full disk has left a part, say, is none."""
        try:
            hashed: tuple[dict[str, str], str] = super().load_manifest()
        except (OSError, ValueError) as error:
            log.warning("static_files_not_collected", error=str(error))
            return {}, ""
        return hashed

    def stored_name(self, name: str) -> str:
        return str(self.hashed_files.get(self.hash_key(self.clean_name(name)), name))

    def post_process(self, paths: dict[str, Any], *args: Any, **options: Any) -> Iterator[Any]:
        made = InMemoryStorage()
        for name, (storage, path) in list(paths.items()):
            if not name.endswith((".css", ".js")):
                continue
            if name in BUNDLES:
                text = bundle(name)
            else:
                with storage.open(path) as file:
                    text = file.read().decode()
            # No map of a source is served: a browser would look for one in vain.
            made.save(name, ContentFile(SOURCE_MAP.sub("", text).encode()))
            paths[name] = (made, name)
        yield from super().post_process(paths, *args, **options)


class Middleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # as above
    """WhiteNoise's. A name with the hash of another release, whose page is still open somewhere, is answered with the
    file of this one, which is kept for a minute only.
    """

    def add_files(self, root: str, prefix: str | None = None) -> None:
        if Path(root).is_dir():  # where nothing was collected there is none
            super().add_files(root, prefix)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if path.startswith(self.static_prefix) and path not in self.files:
            request.path_info = HASH.sub("", path)
        answer: HttpResponseBase = super().__call__(request)
        return answer


# --- collecting ----------------------------------------------------------------------
def collect() -> None:
    """Bring STATIC_ROOT up to date if anything has changed since it was written. Pages work without it, more slowly."""
    if settings.DEBUG:  # a file that is edited is to be seen at once
        return
    root = Path(settings.STATIC_ROOT)
    mark, manifest = root / "collected", root / "staticfiles.json"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another container may have the same volume
            wanted = _fingerprint()
            if mark.is_file() and mark.read_text("utf-8") == wanted:
                return
            mark.unlink(missing_ok=True)
            manifest.unlink(missing_ok=True)
            call_command("collectstatic", interactive=False, verbosity=0)
            for path in (root, *root.rglob("*")):  # as all of DATA_DIR
                path.chmod(0o700 if path.is_dir() else 0o600)
            mark.touch(0o600)
            mark.write_text(wanted, "utf-8")
    except OSError as error:
        log.warning("static_files_not_collected", error=str(error))


def _fingerprint() -> str:
    """Of the content of all that is collected, and of what makes something else of it."""
    found = sha256(f"{version('django')} {version('whitenoise')}".encode())
    found.update(Path(__file__).read_bytes())
    ignored = apps.get_app_config("staticfiles").ignore_patterns  # type: ignore[attr-defined]  # its own class
    for finder in finders.get_finders():
        for path, storage in finder.list(ignored):
            found.update(f"\0{path}\0".encode())
            found.update(Path(storage.path(path)).read_bytes())
    return found.hexdigest()

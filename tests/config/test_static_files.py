"""Style sheets and scripts on their way to a browser: bundles, names, what is compressed, what is kept for how long."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpResponse
from django.test import RequestFactory

from config import static_files

ROOT = Path(__file__).resolve().parent.parent.parent
BY_THEMSELVES = {"theme/js/theme.js", "callbacks/vendor/chartjs/chart.umd.min.js"}
LINK = re.compile(r"""<link[^>]*rel=["']?stylesheet|<script[^>]*\bsrc=""")


@pytest.fixture
def collected(settings, tmp_path) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    static_files.collect()
    return settings.STATIC_ROOT


@pytest.fixture
def sources(settings, tmp_path) -> Path:
    """A folder of further static files."""
    place = tmp_path / "sources"
    place.mkdir()
    settings.STATICFILES_DIRS = [place]
    finders.get_finder.cache_clear()
    yield place
    finders.get_finder.cache_clear()


def answer(url: str, **headers: str):
    middleware = static_files.Middleware(lambda _: HttpResponse(status=404))
    response = middleware(RequestFactory().get(url, **headers))
    response.body = b"".join(response)
    response.close()
    return response


# --- bundles ---------------------------------------------------------------------
def test_every_style_sheet_and_module_is_in_a_bundle_once():
    ours = [path for path in ROOT.glob("*/static/**/*") if path.suffix in {".css", ".js"}]
    ours += [path for path in ROOT.glob("config/theme/static/**/*") if path.suffix in {".css", ".js"}]
    names = {path.as_posix().rpartition("/static/")[2] for path in ours} - BY_THEMSELVES - set(static_files.BUNDLES)
    imported = [re.findall(r'"\./([^"]+)"', static_files._source(name)) for name in static_files.BUNDLES]
    through_others = {"theme/js/server.js", "callbacks/js/check.js", "callbacks/js/editor.js", "callbacks/js/secret.js"}
    through_others |= {"callbacks/js/test_send.js"}
    assert names - {name for part in imported for name in part} <= through_others
    script = static_files.bundle("site.js")
    assert script.count("(() => {\n") >= len(names & {name for name in names if name.endswith(".js")})
    assert not re.search(r"^(?:import|export)\b", script, re.MULTILINE)
    assert "@import" not in static_files.bundle("site.css")


def test_pages_name_no_style_sheet_and_no_script_beside_the_two_of_every_page():
    named = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "templates").rglob("*.html")
        if LINK.search(path.read_text())
    }
    assert named == {"templates/theme/head.html", "templates/ninja/swagger.html"}


def test_bundle_keeps_the_names_of_modules_apart_and_runs_each_once(sources):
    (sources / "a").mkdir()
    (sources / "one.js").write_text(
        'import { say } from "./a/two.js";\nimport "./a/three.js";\nconst own = 1;\nsay(own);\n'
    )
    (sources / "a/two.js").write_text("const own = 2;\nexport function say(text) { log(own, text); }\n")
    (sources / "a/three.js").write_text('import { say } from "./two.js";\nexport const own = 3;\nsay(own);\n')
    made = static_files.bundle("one.js")
    assert made.index("const own = 2") < made.index("const own = 3") < made.index("const own = 1")
    assert made.count("function say") == 1
    assert made.count("const { say } = module0;") == 2
    assert "return { say };" in made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('import { x } from "./one.js";\n', "is imported by what it imports"),
        ('import { x } from "./none.js";\n', "there is no such file"),
        ('import x from "./two.js";\n', "no bundle can be made of"),
        ("export default 1;\n", "no bundle can be made of"),
    ],
)
def test_bundle_of_what_it_does_not_know_is_refused(sources, text, said):
    (sources / "one.js").write_text(text)
    (sources / "two.js").write_text("")
    with pytest.raises(ValueError, match=said):
        static_files.bundle("one.js")


def test_addresses_in_a_style_sheet_are_right_in_the_bundle(sources):
    (sources / "a").mkdir()
    (sources / "one.css").write_text('@import "./a/two.css";\n')
    (sources / "a/two.css").write_text('p { background: url("p.svg"), url("../q.svg"), url("data:,x"); }\n')
    assert static_files.bundle("one.css") == 'p { background: url("a/p.svg"), url("q.svg"), url("data:,x"); }\n'


# --- collecting and serving --------------------------------------------------------
def test_collected_files_are_hashed_compressed_and_kept_for_ever(collected):
    url = staticfiles_storage.url("site.css")
    assert re.fullmatch(r"/static/site\.[0-9a-f]{12}\.css", url)
    response = answer(url, HTTP_ACCEPT_ENCODING="gzip")
    assert response.status_code == 200
    assert response["Content-Encoding"] == "gzip"
    assert "immutable" in response["Cache-Control"]
    text = gzip.decompress(response.body).decode()
    chevron = re.search(r'url\("(theme/chevron\.[0-9a-f]{12}\.svg)"\)', text)[1]
    assert answer(f"/static/{chevron}").status_code == 200
    for name in ("callbacks/vendor/chartjs/chart.umd.min.js", "ninja/swagger-ui-bundle.js", "ninja/swagger-ui.css"):
        served = answer(staticfiles_storage.url(name)).body
        assert len(served) > 100_000
        assert b"sourceMappingURL" not in served


def test_hash_of_another_release_gets_the_file_of_this_one_and_for_a_minute_only(collected):
    response = answer("/static/site.0123456789ab.js")
    assert response.status_code == 200
    assert response["Cache-Control"] == "max-age=60, public"
    assert answer("/static/nothing.0123456789ab.js").status_code == 404


def test_nothing_is_collected_again_unless_something_changed(collected, sources):
    mark = collected / "collected"
    first = mark.stat().st_mtime_ns
    (sources / "new.css").write_text("p { color: red }\n")
    static_files.collect()
    second = mark.stat().st_mtime_ns
    assert second > first
    assert "new.css" in (collected / "staticfiles.json").read_text()
    static_files.collect()
    assert mark.stat().st_mtime_ns == second


def test_plain_names_are_used_and_served_where_nothing_was_collected(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path / "nothing"
    assert staticfiles_storage.url("site.css") == "/static/site.css"
    assert b"@import" in answer("/static/site.css").body
    settings.DEBUG = True
    static_files.collect()
    assert not settings.STATIC_ROOT.exists()


@pytest.mark.parametrize("damage", ["cut off", "a folder"])
def test_manifest_that_cannot_be_read_keeps_nobody_from_starting(collected, caplog, damage):
    manifest = collected / "staticfiles.json"
    text = manifest.read_text()
    manifest.unlink()
    if damage == "a folder":
        manifest.mkdir()
    else:
        manifest.write_text(text[:50])
    assert static_files.Storage().stored_name("site.css") == "site.css"
    assert "static_files_not_collected" in caplog.text


def test_files_that_cannot_be_written_are_said_and_keep_nobody_from_starting(settings, tmp_path, caplog):
    (tmp_path / "theme").write_text("")  # where a folder is to be
    settings.STATIC_ROOT = tmp_path
    static_files.collect()
    assert staticfiles_storage.url("site.css") == "/static/site.css"
    assert "static_files_not_collected" in caplog.text

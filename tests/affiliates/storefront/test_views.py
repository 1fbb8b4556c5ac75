"""The script as a shop's page gets it, and the plugin that stores its link in WooCommerce."""

import io
import zipfile
from pathlib import Path

from django.test import Client

from affiliates.storefront import views


def test_script_is_cached_for_a_while_and_asked_for_again_by_its_tag(settings):
    settings.REFERRAL_PARAMETERS = ("ref", "aff")
    client = Client()
    client.cookies["sessionid"] = "a" * 32
    answer = client.get("/t.js")
    assert 'options.parameters || "ref,aff"' in answer.content.decode()
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert not answer.cookies
    again = client.get("/t.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    settings.REFERRAL_PARAMETERS = ("via",)
    assert client.get("/t.js", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 200


def test_plugin_is_a_zip_that_wordpress_installs_with_the_address_of_this_installation(settings):
    settings.ALLOWED_HOSTS = ["panel.example.com"]
    answer = Client().get("/affiliate-postbacks.zip", HTTP_HOST="panel.example.com:8443", secure=True)
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="affiliate-postbacks.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["affiliate-postbacks/affiliate-postbacks.php"]
    source = Path(views.__file__).with_name("affiliate-postbacks.php").read_text("utf-8")
    there = source.replace("'https://panel.example'", "'https://panel.example.com:8443'")
    assert archive.read(archive.namelist()[0]).decode() == there != source


def test_script_is_short_enough_to_be_read():
    source = Path(views.__file__).with_name("t.js").read_text("utf-8")
    assert len(source.splitlines()) <= 100

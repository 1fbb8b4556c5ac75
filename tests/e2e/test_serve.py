"""`manage.py serve`: the web process of a production."""

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request

from tests.e2e.installation import ROOT
from tests.waiting import wait_until


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_serve_migrates_checks_and_serves_without_an_echo_receiver(installation):
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--migrate"]
    with subprocess.Popen(
        command, env=installation.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: status_of(f"{installation.base_url}/healthz") == 200 or process.poll() is not None, 60)
        assert status_of(f"{installation.base_url}/admin/login/") == 200
        assert status_of(f"{installation.base_url}/static/admin/css/base.css") == 200
        assert status_of(f"{installation.base_url}/echo/x") == 404
        assert status_of(f"{installation.base_url}/readyz") == 200
        process.terminate()
        said, warned = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Running migrations" in said
    assert "security.W" in warned
    wait_until(lambda: not installation.processes(), 10)


def warned(installation, *arguments, **env) -> str:
    """What `manage.py serve` says of itself before it serves."""
    command = [sys.executable, str(ROOT / "manage.py"), "serve", *arguments]
    with subprocess.Popen(command, env=installation.env | env, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: status_of(f"{installation.base_url}/healthz") == 200 or process.poll() is not None, 60)
        process.terminate()
        return process.communicate(timeout=30)[1]


def test_serve_on_a_public_address_without_a_proxy_warns(installation):
    installation.data_dir.mkdir()
    assert "can be reached from other machines" in warned(installation, "--host=0.0.0.0")
    assert "can be reached from other machines" not in warned(installation, "--host=0.0.0.0", BEHIND_PROXY="1")
    assert "can be reached from other machines" not in warned(installation, "--host=127.0.0.1")


def test_serve_on_a_port_that_is_taken_says_so(installation):
    with socket.create_server(("127.0.0.1", installation.port)):
        assert f"127.0.0.1:{installation.port} cannot be used: Address already in use" in warned(installation)


def test_readme_settings_for_production_pass_the_checks(installation):
    (settings,) = re.findall(r"```sh\n((?:[A-Z_]+=\S+ *(?:#.*)?\n)+)```", (ROOT / "README.md").read_text())
    env = dict(line.split("#")[0].strip().split("=", 1) for line in settings.strip().splitlines())
    assert {"BEHIND_PROXY", "ALLOWED_HOSTS", "DATABASE_URL"} <= env.keys()
    said = installation.manage("check", "--deploy", "--fail-level=WARNING", **env)
    assert "no issues" in said

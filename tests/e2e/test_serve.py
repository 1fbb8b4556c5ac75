"""`manage.py serve`: the web process of a production."""

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
    env = installation.env | {"WEB_CONCURRENCY": "2"}
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--migrate"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: status_of(f"{installation.base_url}/healthz") == 200 or process.poll() is not None, 60)
        assert status_of(f"{installation.base_url}/admin/login/") == 200
        assert status_of(f"{installation.base_url}/static/admin/css/base.css") == 200
        assert status_of(f"{installation.base_url}/echo/x") == 404
        assert status_of(f"{installation.base_url}/readyz") == 503
        process.terminate()
        said, warned = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Running migrations" in said
    assert "security.W" in warned
    wait_until(lambda: not installation.processes(), 10)

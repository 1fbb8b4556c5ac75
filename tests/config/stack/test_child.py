"""Child processes: their output has their name, and none outlives what it was made for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.stack.child import Child
from tests.waiting import wait_until

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_child_output_appears_with_its_name_and_without_empty_lines(capfd):
    child = Child("web", [sys.executable, "-c", "print('one'); print(); print('two')"])
    wait_until(child.has_ended, 10)
    child.stop(0)
    assert capfd.readouterr().out == "   web | one\n   web | two\n"


def test_child_reads_what_it_is_given_and_writes_its_log(tmp_path):
    code = "import sys; print(sys.stdin.read().upper())"
    child = Child("loud", [sys.executable, "-c", code], stdin=b"hello", log=tmp_path / "log")
    wait_until(child.has_ended, 10)
    child.stop(0)
    assert (tmp_path / "log").read_text() == "HELLO\n"


def test_child_that_ends_says_how():
    child = Child("brief", [sys.executable, "-c", "raise SystemExit(3)"])
    wait_until(child.has_ended, 10)
    assert child.ending == "ended with exit status 3"
    child.stop(0)
    child = Child("long", [sys.executable, "-c", "import time; time.sleep(60)"])
    assert child.ending == "is still running"
    child.stop(10)
    assert child.ending == "was ended by SIGTERM"


@pytest.mark.parametrize(("patience_s", "is_hurried"), [(0.2, False), (60.0, True)])
def test_child_that_does_not_hear_is_killed(capfd, patience_s, is_hurried):
    child = Child("deaf", [sys.executable, "-c", STUBBORN])
    wait_until(lambda: "deaf" in capfd.readouterr().out, 10)
    began = time.monotonic()
    child.stop(patience_s, lambda: is_hurried)
    assert child.ending == "was ended by SIGKILL"
    assert time.monotonic() - began < 10


def test_child_that_ends_takes_what_it_started_with_it(tmp_path):
    child = Child("parent", [sys.executable, "-c", PARENT], log=tmp_path / "log")
    wait_until(lambda: (tmp_path / "log").read_text().strip(), 10)
    grandchild = int((tmp_path / "log").read_text())
    assert is_alive(grandchild)
    child.stop(5)
    wait_until(lambda: not is_alive(grandchild), 10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_child_of_a_killed_parent_ends(tmp_path):
    code = (
        "import sys, time; from config.stack.child import Child\n"
        "child = Child('sleeper', [sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.process.pid)); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 20)
    pid = int((tmp_path / "pid").read_text())
    assert is_alive(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not is_alive(pid), 10)

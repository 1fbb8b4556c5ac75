"""What a worker says of a task that the database refuses: it is asked for again in a second."""

import pytest
from celery.app.trace import build_tracer
from django.db import OperationalError, connection
from structlog.testing import capture_logs

from callbacks import tasks
from callbacks.delivery import dispatcher

pytestmark = pytest.mark.usefixtures("broker")


def run(task) -> None:
    """As a worker's process does."""
    build_tracer(task.name, task, app=task.app)("0", (), {}, {"id": "0"})


def test_tasks_without_a_database_are_one_line_until_it_is_back(database_away, caplog):
    with capture_logs() as lines:
        for _ in range(3):
            run(tasks.sweep)
            run(tasks.count_requests)
    assert [(line["event"], line["task"], line["log_level"]) for line in lines] == [
        ("task_failed", "callbacks.tasks.sweep", "warning")
    ]
    assert "raised unexpected" not in caplog.text
    with pytest.raises(OperationalError):  # who calls it itself is told
        tasks.sweep()


@pytest.mark.django_db
def test_task_with_an_error_of_ours_says_so_each_time(monkeypatch, caplog):
    def ask_wrongly() -> None:
        connection.cursor().execute("SELECT nothing FROM nowhere")

    monkeypatch.setattr(dispatcher, "sweep", ask_wrongly)
    run(tasks.sweep)
    assert "raised unexpected" in caplog.text


@pytest.fixture(autouse=True)
def forget_outage(monkeypatch):
    monkeypatch.setattr(tasks, "_is_database_away", False)

"""The tests stand on surroundings of their own, and speak to this machine alone."""

import socket

import pytest
import redis
from django.db import connection


def test_surroundings_are_of_this_process_alone(pytestconfig, settings, broker, tmp_path_factory):
    assert settings.REDIS_URL == broker.url
    assert settings.CALLBACKS_ALLOWED_NETWORKS == ()
    assert settings.DATA_DIR == broker.directory
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert client.ping()


@pytest.mark.django_db
def test_surroundings_have_the_chosen_database(postgresql):
    assert connection.vendor == ("postgresql" if postgresql else "sqlite")


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80, 0, 0)])
def test_surroundings_refuse_a_connection_to_another_machine(address):
    with (
        socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as connecting,
        pytest.raises(AssertionError, match="A test tried to connect to"),
    ):
        connecting.connect(address)

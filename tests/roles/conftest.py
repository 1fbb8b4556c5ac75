from collections.abc import Iterator

import pytest


@pytest.fixture
def world(broker):
    from tests.roles import world as worlds  # it needs models, which are loaded only now

    return worlds.make()


@pytest.fixture(scope="module")
def _world_of_the_module(django_db_setup, django_db_blocker) -> Iterator[object]:
    from django.db import transaction  # when the settings are named

    from tests.roles import world as worlds

    with django_db_blocker.unblock(), transaction.atomic():
        world = worlds.make()
        for person in worlds.PEOPLE:
            world.client(person)  # signs in
        yield world
        transaction.set_rollback(True)


@pytest.fixture
def shared_world(_world_of_the_module, db, broker):
    """Made once for all tests of a module. What a test writes is undone; what it does to these objects is not."""
    return _world_of_the_module

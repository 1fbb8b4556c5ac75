import pytest


@pytest.fixture
def world(broker):
    from tests.roles import world as worlds  # it needs models, which are loaded only now

    return worlds.make()

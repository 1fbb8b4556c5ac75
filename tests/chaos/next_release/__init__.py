"""The migrations of `callbacks`, and two more of a release that does not exist: see MIGRATION_MODULES of Django."""

from callbacks import migrations

__path__ = [*migrations.__path__, *__path__]

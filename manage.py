#!/usr/bin/env python
"""Django's command line for Affiliate Postbacks."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured  # after the settings are named, as the next
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # something in the environment, which a traceback would only hide
        sys.exit(str(error))


if __name__ == "__main__":
    main()

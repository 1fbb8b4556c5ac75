"""`manage.py encrypt_secrets`: encrypts the signing secrets that an older release stored as they are."""

from typing import Any

from django.core.management.base import BaseCommand

from config.security import encryption


class Command(BaseCommand):
    help = (
        "Encrypt the secrets that a release before 0.1.0 stored unencrypted. Run it once after an upgrade, when no "
        "process of that release is running any more, because it could not read them."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        count = encryption.encrypt_plain()
        self.stdout.write(
            f"{count} secret{'s'[: count != 1]} encrypted." if count else "Nothing to do. All secrets are encrypted."
        )

from django.apps import AppConfig


class CallbacksConfig(AppConfig):
    name = "callbacks"

    def ready(self) -> None:
        from callbacks import receivers  # needs the models  # noqa: F401 - importing connects them

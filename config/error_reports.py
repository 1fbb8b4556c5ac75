"""Keeps secrets out of the pages and mails about errors: a URL of a server may hold its password."""

import re

from django.views.debug import SafeExceptionReporterFilter


class ReporterFilter(SafeExceptionReporterFilter):
    """Hides what Django hides, and whatever is named a URL."""

    hidden_settings = re.compile(SafeExceptionReporterFilter.hidden_settings.pattern + "|URL", re.IGNORECASE)

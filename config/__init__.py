"""The project itself: what is no app's. Settings, URLs, Celery, the admin site, system checks.

`security/` has who gets in and what they may do, `stack/` starts the processes of an installation, `listing/` has what
long lists share, `theme/` the looks of all pages. Affiliates, orders and callbacks are apps of their own beside this
package.
"""

from config.celery import app as celery_app

__all__ = ["celery_app"]

"""In which language a page is: that of the browser, or the one chosen at the foot of the page, in the portal; English
everywhere else. The translations are in `config/locale`; `make messages` brings them up to date.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers

View = Callable[[HttpRequest], HttpResponseBase]
TRANSLATED = "/portal/"


def middleware(get_response: View) -> View:
    """Answer in the language of the request. Elsewhere Django's own Spanish would be mixed with our English."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        is_translated = request.path_info.startswith(TRANSLATED)
        language = translation.get_language_from_request(request) if is_translated else settings.LANGUAGE_CODE
        with translation.override(language):
            response = get_response(request)
        if is_translated:
            patch_vary_headers(response, ("Accept-Language", "Cookie"))
        response.headers.setdefault("Content-Language", language)
        return response

    return answer


def translated(said: str) -> str:
    """A `Sentence` of the rooms without Django in the viewer's language; other text as it is."""
    text = getattr(said, "text", None)
    if text is None:
        return str(said)
    params = {name: translated(value) if isinstance(value, str) else value for name, value in said.params.items()}  # type: ignore[attr-defined]
    return translation.gettext(text).format(**params) if params else translation.gettext(text)

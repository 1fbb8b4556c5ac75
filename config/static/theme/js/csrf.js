// The token that a request which changes something, or is sent by POST at all, has to bring.
export function token() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

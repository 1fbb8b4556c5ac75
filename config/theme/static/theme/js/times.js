// Shows times in the viewer's zone; that of the installation stays in the title. Without scripts it is the text itself.
// The page says in which language, and has the words in the element that names its zone.
const LANGUAGE = document.documentElement.lang || "en";
const LOCALE = LANGUAGE === "en" ? "en-GB" : LANGUAGE;
const WORDS = document.querySelector("[data-zone]")?.dataset ?? {};
const { justNow = "just now", soon = "in a few seconds", due = "due now", within = "in {time}", today: TODAY = "Today, {time}" } = WORDS;
const full = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const older = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function ago(date, now) {
  const seconds = Math.round((date - now) / 1000);
  if (Math.abs(seconds) < 45) return seconds > 0 ? soon : justNow;
  if (Math.abs(seconds) > 6 * 86400) return older.format(date);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS[2];
  return relative.format(Math.trunc(seconds / size) || Math.sign(seconds), unit);
}

// "4 min 59 s": the two largest units, as the server says it.
function countdown(date, now) {
  let rest = Math.ceil((date - now) / 1000);
  if (rest <= 0) return due;
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count || parts.length) parts.push([count, unit]);
  }
  return within.replace("{time}", parts.slice(0, 2).filter(([count]) => count).map((part) => part.join("\u00a0")).join(" "));
}

function text(form, date, now) {
  if (form === "countdown") return countdown(date, now);
  if (form === "relative") return ago(date, now);
  const today = date.toDateString() === now.toDateString();
  if (form === "clock") return today ? clock.format(date) : full.format(date);
  if (form === "short") return today ? TODAY.replace("{time}", clock.format(date)) : date.getFullYear() === now.getFullYear() ? short.format(date) : older.format(date);
  return full.format(date);
}

export function localise(within = document) {
  const now = new Date();
  for (const element of within.querySelectorAll("time[data-form]")) {
    const date = new Date(element.dateTime);
    element.title ||= element.textContent.trim();
    element.textContent = text(element.dataset.form, date, now);
  }
}

function tick() {
  for (const element of document.querySelectorAll("time[data-form=countdown]")) {
    element.textContent = countdown(new Date(element.dateTime), new Date());
  }
}

// A zone by the name that this browser has for it: Asia/Calcutta for Asia/Kolkata. One it does not know stays as it is.
function known(zone) {
  try {
    return new Intl.DateTimeFormat(LOCALE, { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return zone;
  }
}

// Days and months stay those of the installation: where that is another zone, say both.
for (const element of document.querySelectorAll("[data-zone]")) {
  const own = known();
  if (own !== known(element.dataset.zone)) element.textContent = element.dataset.both.replace("{own}", own).replace("{zone}", element.dataset.zone);
}

localise();
setInterval(localise, 30000);
setInterval(tick, 1000);

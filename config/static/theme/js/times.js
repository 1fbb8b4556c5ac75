// Shows times in the viewer's zone; UTC stays in the title. Without scripts the text says UTC itself.
const full = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const older = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function ago(date, now) {
  const seconds = Math.round((date - now) / 1000);
  if (Math.abs(seconds) < 45) return seconds > 0 ? "in a few seconds" : "just now";
  if (Math.abs(seconds) > 6 * 86400) return older.format(date);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS[2];
  return relative.format(Math.trunc(seconds / size) || Math.sign(seconds), unit);
}

function text(form, date, now) {
  if (form === "relative") return ago(date, now);
  const today = date.toDateString() === now.toDateString();
  if (form === "clock") return today ? clock.format(date) : full.format(date);
  if (form === "short") return today ? `Today, ${clock.format(date)}` : date.getFullYear() === now.getFullYear() ? short.format(date) : older.format(date);
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

localise();
setInterval(localise, 30000);

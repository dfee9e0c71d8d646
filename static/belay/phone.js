// The acknowledge page: the time left runs, a tap counts once, and the page notices when somebody else was quicker.
// Without it the page works all the same: the form posts, the time is the one of the moment it was opened.
"use strict";
(() => {
  const stamp = document.body.dataset.now;
  const offset = stamp ? Date.parse(stamp) - Date.now() : 0;
  const now = () => Date.now() + (Math.abs(offset) > 2000 ? offset : 0);
  const ASK_EVERY = 8000;

  const clock = document.querySelector("[data-countdown]");
  let over = false;
  const run = () => {
    const left = Math.max(Math.floor((Date.parse(clock.dateTime) - now()) / 1000), 0);
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(left / 3600);
    const minutes = Math.floor((left % 3600) / 60);
    clock.textContent = hours ? `${hours}:${two(minutes)}:${two(left % 60)}` : `${minutes}:${two(left % 60)}`;
    if (left === 0 && !over) {
      over = true;
      // The engine decides within a second or two; then the page tells what became of it.
      setTimeout(() => location.reload(), 3000);
    }
  };
  if (clock) {
    run();
    setInterval(run, 500);
  }

  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sending) {
        event.preventDefault();
        return;
      }
      form.dataset.sending = "1";
      // Not `disabled`: a disabled button would not be sent along.
      for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
      // Where the network swallowed it, the button must work again.
      setTimeout(() => {
        delete form.dataset.sending;
        for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
      }, 10000);
    });
  }

  const mark = document.body.dataset.mark;
  const ask = async () => {
    if (!mark || document.hidden || document.querySelector("form[data-sending]")) return;
    try {
      const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
      const found = answer.headers.get("X-Belay-Mark");
      if (found && found !== mark) location.reload();
    } catch {
      // No network: the time goes on, the next try may reach the server.
    }
  };
  if (document.querySelector("form[data-once]")) {
    setInterval(ask, ASK_EVERY);
    document.addEventListener("visibilitychange", ask);
    window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  }
})();

/* The live stream: one EventSource for each tab that can be seen.

   How a page takes part:

     <div id="timeline" data-live="ticket-123" hx-get="/t/123/timeline/" hx-trigger="live" hx-swap="outerHTML">

   `data-live` names topics, separated by spaces: ticket-<id>, queue, board, bell. When one of them rings, the
   element gets the event `live` (detail: topic, kinds) and htmx fetches it anew. Without hx-get,
   `data-live-url="/some/fragment/"` is fetched into the element (`data-live-swap`, by default innerHTML).
   Several rings become one; `data-live-every="2000"` keeps so many milliseconds between two (by default 500).
   While the person types in the element, it waits for them to leave the field.

   While an element is being fetched, and while a script holds it (`belayHold`), rings are kept until afterwards.

   Scripts listen on the document: `belay:live` (detail: topic, kinds), `belay:resync` (look at everything again),
   `belay:stream` (detail: up). New elements are noticed by themselves.

   A hidden tab closes its stream: browsers allow six connections to a server over HTTP/1.1, and twenty open
   tickets would block each other. It comes back with the age of what it shows and is told what it missed. */
(() => {
  "use strict";
  if (window.belayLive) return; // one stream a tab, however often the script is named
  window.belayLive = true;
  const URL_OF_STREAM = "/live/";
  const HIDE_AFTER = 5000;
  const HINT_AFTER = 4000;
  const FIRST_WAIT = 1000;
  const LONGEST_WAIT = 30000;
  const SILENCE = 40000; // more than two heartbeats: the connection is dead without knowing it
  const EVERY = 500;
  const SETTLED = 50;
  const RESYNC_JITTER = 1200;

  let source = null;
  let topics = "";
  let wait = FIRST_WAIT;
  let retryTimer = 0;
  let hideTimer = 0;
  let hintTimer = 0;
  let watchdog = 0;
  let signedOut = false;
  // When this page last knew everything: at first the request for the page. Not performance.now(), which stands
  // still while a laptop sleeps.
  let knownAt = performance.timeOrigin;

  const wanted = () => {
    const found = new Set(["bell"]);
    for (const element of document.querySelectorAll("[data-live]")) {
      for (const topic of element.dataset.live.split(/\s+/)) if (topic) found.add(topic);
    }
    return [...found].sort().join(",");
  };

  /* --- the elements ------------------------------------------------------------------------------------------ */

  // By id where there is one: htmx may have put a new element in the old one's place.
  const keyOf = (element) => element.id || element;
  const last = new Map(); // when an element was fetched last
  const due = new Map(); // the timer of the fetch to come

  // What is being fetched. Rung meanwhile, it is fetched once more: the answer under way may be older than the ring, and
  // htmx forgets what waits on an element that this answer replaces.
  const busy = new Set();
  const held = new Set(); // by a script that puts something else in the element's place
  const again = new Map();
  document.addEventListener("live", (event) => {
    const key = keyOf(event.target);
    if (!busy.has(key) && !held.has(key)) return;
    event.stopImmediatePropagation();
    again.set(key, event.detail);
  }, true);
  document.addEventListener("htmx:beforeSend", (event) => {
    if (event.detail.elt.matches?.("[data-live]")) busy.add(keyOf(event.detail.elt));
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    // Said of an ancestor where the answer has replaced the element.
    const key = keyOf(event.detail.requestConfig?.elt ?? event.detail.elt);
    if (busy.delete(key)) catchUp(key);
  });
  const catchUp = (key) => {
    if (held.has(key) || !again.has(key)) return;
    const detail = again.get(key);
    again.delete(key);
    const element = typeof key === "string" ? document.getElementById(key) : key;
    // Once htmx knows the new element.
    if (element) ring(element, detail, SETTLED);
  };
  // For scripts: nothing is fetched into the element of this id until `work` (it returns a promise) is done.
  window.belayHold = (id, work) => {
    held.add(id);
    return work().finally(() => {
      held.delete(id);
      catchUp(id);
    });
  };

  const isTyping = (element) => {
    const active = document.activeElement;
    return active && active !== document.body && element.contains(active) &&
      active.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])");
  };

  const fetchElement = (key, detail) => {
    due.delete(key);
    const element = typeof key === "string" ? document.getElementById(key) : key;
    if (!element?.isConnected) return;
    if (isTyping(element)) {
      document.activeElement.addEventListener("blur", () => ring(element, detail), { once: true });
      return;
    }
    last.set(key, performance.now());
    const url = element.dataset.liveUrl;
    if (url && !element.hasAttribute("hx-get") && window.htmx) {
      window.htmx.ajax("GET", url, { source: element, target: element, swap: element.dataset.liveSwap || "innerHTML" });
    }
    element.dispatchEvent(new CustomEvent("live", { detail }));
  };

  const ring = (element, detail, delay = 0) => {
    const key = keyOf(element);
    if (due.has(key)) return;
    const every = Number(element.dataset.liveEvery) || EVERY;
    const since = performance.now() - (last.get(key) ?? -Infinity);
    due.set(key, setTimeout(fetchElement, Math.max(delay, every - since, 0), key, detail));
  };

  const heard = (topic, kinds) => {
    document.dispatchEvent(new CustomEvent("belay:live", { detail: { topic, kinds } }));
    for (const element of document.querySelectorAll(`[data-live~="${CSS.escape(topic)}"]`)) ring(element, { topic, kinds });
  };

  const resync = () => {
    // Spread over a second, so that a thousand browsers don't ask at once.
    const delay = Math.random() * RESYNC_JITTER;
    setTimeout(() => document.dispatchEvent(new CustomEvent("belay:resync")), delay);
    for (const element of document.querySelectorAll("[data-live]")) ring(element, { topic: "resync", kinds: [] }, delay);
  };

  /* --- the stream -------------------------------------------------------------------------------------------- */

  const hint = () => {
    let box = document.getElementById("live-hint");
    if (!box) {
      box = document.createElement("p");
      box.id = "live-hint";
      box.className = "live-hint";
      box.setAttribute("role", "status");
      document.body.append(box);
    }
    return box;
  };

  const show = (up) => {
    clearTimeout(hintTimer);
    document.documentElement.toggleAttribute("data-offline", !up);
    if (up) {
      const box = document.getElementById("live-hint");
      if (box) box.remove();
    } else {
      hint().textContent = signedOut
        ? "You are signed out. Reload the page to sign in."
        : "Offline: what you see may be old. Trying again…";
    }
    document.dispatchEvent(new CustomEvent("belay:stream", { detail: { up } }));
  };

  const alive = () => {
    knownAt = Date.now();
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, SILENCE);
  };

  const close = () => {
    clearTimeout(retryTimer);
    clearTimeout(watchdog);
    if (source) source.close();
    source = null;
  };

  const lost = () => {
    close();
    if (signedOut || document.hidden) return;
    hintTimer = hintTimer || setTimeout(show, HINT_AFTER, false);
    retryTimer = setTimeout(open, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  };

  const open = () => {
    close();
    if (signedOut || document.hidden) return;
    topics = wanted();
    const age = Math.max(0, Math.ceil(Date.now() - knownAt));
    const asked = topics.split(",");
    const stream = new EventSource(`${URL_OF_STREAM}?on=${encodeURIComponent(topics)}&age=${age}`);
    source = stream;
    stream.onopen = () => {
      wait = FIRST_WAIT;
      clearTimeout(hintTimer);
      hintTimer = 0;
      alive();
      show(true);
    };
    // Its own retry knows no jitter and gives up for good at a status it doesn't like.
    stream.onerror = () => source === stream && lost();
    for (const topic of asked) {
      stream.addEventListener(topic, (event) => {
        alive();
        heard(topic, JSON.parse(event.data).kinds);
      });
    }
    stream.addEventListener("resync", () => {
      alive();
      resync();
    });
    stream.addEventListener("here", alive);
    stream.addEventListener("gone", () => {
      signedOut = true;
      close();
      show(false);
    });
  };

  document.addEventListener("visibilitychange", () => {
    clearTimeout(hideTimer);
    if (document.hidden) hideTimer = setTimeout(close, HIDE_AFTER);
    else if (!source) open();
  });
  // A page that leaves must not keep one of the six connections; one that comes back from the cache is old.
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  addEventListener("online", () => !source && open());

  // Elements that htmx brought may want other topics.
  document.addEventListener("htmx:afterSettle", () => {
    if (source && wanted() !== topics) open();
  });

  if (!document.hidden) open();
})();

/* The board moves: chips drift towards the edge by time alone, and what changed is fetched and matched by id, so that
   a climb is seen as a climb. Without this script the server's own places stand (see board.css). */
(() => {
  "use strict";
  const board = document.getElementById("board");
  if (!board) return;
  const { now, spoken, refreshTimes, say } = window.belay;
  document.documentElement.dataset.scripted = "";

  /* --- places: the same curve as web/board/axis.py ------------------------------------------------------------- */

  const HORIZON = 480;
  const BEND = 6;
  const place = (ms) => Math.max(0, 1 - Math.log1p(Math.max(0, ms / 60000) / BEND) / Math.log1p(HORIZON / BEND));
  const SOON = 15 * 60000;
  const GAP = 4;
  const MOST_ROWS = 5; // of full chips; beyond that a lane gets denser
  const MOST_DENSE = 9;
  const DENSE_WIDTH = 108;
  const phone = matchMedia("(max-width: 760px)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const wall = document.body.classList.contains("wall");
  const rowOf = new Map(); // chip id -> its row, kept so that drifting doesn't make chips jump

  /** Put chips, the most urgent first, into at most `most` rows. Where all of them are taken, `nudge` lets a chip queue
      behind those in its place: a little too far left is better than unseen, and its time stands on it. */
  const pack = (chips, width, track, most, nudge) => {
    const rows = Array.from({ length: most }, () => []);
    const places = [];
    for (const chip of chips) {
      const due = Number(chip.dataset.due) || Infinity;
      const at = due === Infinity ? 0 : place(due - now());
      let x = Math.max(2, Math.min(at * track - width - 3, track - width - 3));
      const free = (row) => !rows[row].some((left) => x < left + width + GAP && left < x + width + GAP);
      let row = rowOf.get(chip.id) ?? most;
      if (row >= most || !free(row)) row = rows.findIndex((_, number) => free(number));
      while (row < 0 && nudge && x - width - GAP >= 2) {
        x -= width + GAP;
        row = rows.findIndex((_, number) => free(number));
      }
      if (row < 0) {
        if (nudge) continue;
        return null;
      }
      rows[row].push(x);
      places.push([chip, x, row]);
    }
    return places;
  };

  const layOut = (lane) => {
    const track = lane.querySelector(".track");
    const chips = [...lane.querySelectorAll(".chip:not(.gone)")];
    const room = track.clientWidth;
    if (!room) return;
    const full = wall ? Math.max(190, innerWidth * 0.15) : 172;
    let places = pack(chips, full, room, MOST_ROWS, false);
    const dense = !places;
    const narrow = wall ? Math.max(DENSE_WIDTH, innerWidth * 0.095) : DENSE_WIDTH;
    if (dense) places = pack(chips, narrow, room, wall ? MOST_ROWS + 1 : MOST_DENSE, true);
    lane.classList.toggle("dense", dense);
    const width = dense ? narrow : full;
    const pad = dense ? 7 : 9;
    // The sizes of --row in board.css.
    const step = wall ? Math.max(dense ? 32 : 40, innerHeight * (dense ? 0.032 : 0.039)) : dense ? 27 : 36;
    let rows = 0;
    for (const [chip, x, row] of places) {
      rowOf.set(chip.id, row);
      rows = Math.max(rows, row + 1);
      chip.classList.remove("over");
      chip.style.setProperty("--w", `${width}px`);
      chip.style.setProperty("--x", `${x.toFixed(1)}px`);
      chip.style.setProperty("--y", `${pad + row * step}px`);
    }
    // More than the lane can hold: the least urgent are in the table and in the strip's words.
    const shown = new Set(places.map(([chip]) => chip));
    let over = 0;
    for (const chip of chips) {
      if (shown.has(chip)) continue;
      chip.classList.add("over");
      over += 1;
    }
    const more = lane.querySelector("[data-over]");
    more.hidden = !over;
    more.textContent = `${over} more within 8 h: see the table`;
    lane.style.setProperty("--rows", String(Math.max(dense ? 6 : 4, rows) + (over ? 0.7 : 0)));
  };

  const relabel = () => {
    for (const chip of board.querySelectorAll(".chip[data-due]")) {
      const left = Number(chip.dataset.due) - now();
      chip.classList.toggle("soon", left > 0 && left <= SOON);
      chip.classList.toggle("late", left <= 0);
      if ("un" in chip.dataset) continue;
      const text = left > 0 ? spoken(left) : "due";
      const label = chip.querySelector("em");
      if (label.textContent !== text) label.textContent = text;
    }
  };

  const draw = () => {
    relabel();
    if (!phone.matches) for (const lane of board.querySelectorAll(".lane")) layOut(lane);
  };

  /* --- what changed -------------------------------------------------------------------------------------------- */

  const said = document.getElementById("board-said");
  const TIERS = { 1: "L1", 2: "L2", 3: "L3", 4: "management" };
  const announce = (text) => {
    if (!said) return;
    const line = document.createElement("span");
    line.textContent = `${text} `;
    said.append(line);
    while (said.childElementCount > 5) said.firstElementChild.remove();
  };

  /** Replace a block's content if the server wrote another one, keeping the focus where it was. */
  const written = new WeakMap();
  // The token that guards forms is masked anew in every answer.
  const html = (block) => block.innerHTML.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
  const replaceBlock = (old, fresh) => {
    if (written.get(old) === html(fresh) && old.className === fresh.className) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    written.set(old, html(fresh));
    old.className = fresh.className;
    if (fresh.hasAttribute("title")) old.setAttribute("title", fresh.getAttribute("title"));
    old.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
    if (focused) document.getElementById(focused)?.focus();
  };

  const updateChip = (chip, fresh) => {
    const focused = chip.contains(document.activeElement);
    for (const name of ["data-due", "data-un", "data-tier"]) {
      if (fresh.hasAttribute(name)) chip.setAttribute(name, fresh.getAttribute(name));
      else chip.removeAttribute(name);
    }
    chip.className = fresh.className;
    const link = chip.querySelector("a");
    const freshLink = fresh.querySelector("a");
    if (link.innerHTML !== freshLink.innerHTML) link.replaceChildren(...[...freshLink.childNodes].map((node) => document.importNode(node, true)));
    return focused;
  };

  const climb = (chip, from) => {
    if (still.matches || phone.matches) return;
    const to = chip.getBoundingClientRect();
    const base = getComputedStyle(chip).transform;
    const shift = `translate(${from.left - to.left}px, ${from.top - to.top}px)`;
    chip.animate(
      [
        { transform: `${shift} ${base === "none" ? "" : base}`, zIndex: 9, offset: 0 },
        { transform: base === "none" ? "none" : base, zIndex: 9, offset: 1 },
      ],
      { duration: 900, easing: "cubic-bezier(.3, 0, .2, 1)" },
    );
  };

  const updateLanes = (fresh) => {
    const lanes = board.querySelector(".lanes");
    const freshLanes = fresh.querySelector(".lanes");
    if (!lanes || !freshLanes || lanes.querySelectorAll(".lane").length !== freshLanes.querySelectorAll(".lane").length) return false;
    const wanted = new Map([...freshLanes.querySelectorAll(".chip")].map((chip) => [chip.id, chip]));
    const moved = [];
    board.classList.remove("settled");
    for (const chip of lanes.querySelectorAll(".chip:not(.gone)")) {
      if (wanted.has(chip.id)) continue;
      rowOf.delete(chip.id);
      chip.classList.add("gone");
      chip.removeAttribute("id");
      setTimeout(() => chip.remove(), still.matches ? 0 : 420);
    }
    let refocus = null;
    for (const freshLane of freshLanes.querySelectorAll(".lane")) {
      const lane = document.getElementById(freshLane.id);
      const list = lane.querySelector(".chips");
      let before = null;
      for (const freshChip of freshLane.querySelectorAll(".chip")) {
        let chip = document.getElementById(freshChip.id);
        const came = !chip;
        if (came) chip = document.importNode(freshChip, true);
        const tier = chip.dataset.tier;
        const from = came ? null : chip.getBoundingClientRect();
        if (!came && updateChip(chip, freshChip)) refocus = chip;
        // In the server's order, but only what stands elsewhere is touched: moving an element loses its focus.
        const next = before ? before.nextElementSibling : list.firstElementChild;
        if (next !== chip) list.insertBefore(chip, next);
        before = chip;
        const words = chip.querySelector(".what").textContent.trim();
        if (came) {
          if (!still.matches) chip.animate([{ opacity: 0 }, { opacity: 1 }], 400);
          announce(`New: ${words}.`);
        } else if (tier !== chip.dataset.tier) {
          rowOf.delete(chip.id);
          moved.push([chip, from]);
          announce(`${words} ${chip.dataset.tier > tier ? "climbed" : "went back"} to ${TIERS[chip.dataset.tier]}.`);
        }
      }
      const track = lane.querySelector(".track");
      track.querySelector("[data-none]")?.remove();
      const none = freshLane.querySelector("[data-none]");
      if (none) track.append(document.importNode(none, true));
    }
    const empty = document.getElementById("b-empty");
    const freshEmpty = freshLanes.querySelector("#b-empty");
    if (empty && !freshEmpty) empty.remove();
    if (freshEmpty && !empty) lanes.append(document.importNode(freshEmpty, true));
    draw();
    for (const [chip, from] of moved) climb(chip, from);
    if (refocus && !refocus.contains(document.activeElement)) refocus.querySelector("a").focus({ preventScroll: true });
    settle();
    return true;
  };

  const update = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html").body;
    const shape = (root) => [...root.querySelectorAll("[data-block]")].map((block) => block.id).join(" ");
    if (shape(board) !== shape(fresh) || (board.querySelector(".lanes") && !updateLanes(fresh))) {
      board.replaceChildren(...fresh.childNodes);
      arm();
      draw();
    } else {
      for (const block of board.querySelectorAll("[data-block], #b-facts")) {
        replaceBlock(block, fresh.querySelector(`#${CSS.escape(block.id)}`));
      }
    }
    refreshTimes();
  };

  /* --- when to fetch: at most twice a second, and never faster than four times what the server needs ------------- */

  const EVERY = 500;
  const BY_ITSELF = 30000; // what no event tells: a bar that grows, the engine's lag
  let timer = 0;
  let busy = false;
  let again = false;
  let readyAt = 0;

  const fetchPart = async () => {
    timer = 0;
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    const began = performance.now();
    try {
      const reply = await fetch(board.dataset.part, { headers: { "HX-Request": "true" }, cache: "no-store" });
      if (reply.ok) update(await reply.text());
    } catch {
      // The server is gone; live.js says so and rings when it is back.
    }
    const took = performance.now() - began;
    readyAt = performance.now() + Math.max(EVERY, 3 * took);
    busy = false;
    if (again) {
      again = false;
      refresh();
    }
  };

  const refresh = () => {
    if (timer || again) return;
    if (busy) again = true;
    else timer = setTimeout(fetchPart, Math.max(0, readyAt - performance.now()));
  };

  document.addEventListener("belay:live", (event) => event.detail.topic === "board" && refresh());
  document.addEventListener("belay:resync", refresh);
  setInterval(() => !document.hidden && refresh(), BY_ITSELF);

  /* --- taking ---------------------------------------------------------------------------------------------------- */

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-take]")) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const reply = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "X-Belay-Fetch": "1" } });
      const plain = (reply.headers.get("Content-Type") || "").startsWith("text/plain");
      say(plain ? await reply.text() : `Belay could not do this (error ${reply.status}).`, reply.ok ? "success" : "error", "take");
    } catch {
      say("Belay does not answer, so nothing was sent. Try again when the connection is back.", "error", "take");
    }
    button.disabled = false;
    refresh();
  });

  /* --- the card over a chip -------------------------------------------------------------------------------------- */

  const card = document.createElement("div");
  card.className = "board-card";
  card.id = "board-card";
  card.setAttribute("role", "tooltip");
  card.hidden = true;
  document.body.append(card);
  let cardFor = null;
  let cardTimer = 0;

  const hideCard = () => {
    clearTimeout(cardTimer);
    cardFor?.querySelector("a")?.removeAttribute("aria-describedby");
    cardFor = null;
    card.hidden = true;
  };

  const showCard = async (chip) => {
    cardFor = chip;
    let html;
    try {
      const reply = await fetch(board.dataset.card.replace(/0\/$/, `${chip.id.slice(1)}/`), { headers: { "HX-Request": "true" } });
      if (!reply.ok) return;
      html = await reply.text();
    } catch {
      return;
    }
    if (cardFor !== chip || !chip.isConnected) return;
    card.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
    card.hidden = false;
    chip.querySelector("a").setAttribute("aria-describedby", card.id);
    const at = chip.getBoundingClientRect();
    const own = card.getBoundingClientRect();
    const below = at.bottom + 8 + own.height < innerHeight;
    card.style.setProperty("left", `${Math.max(10, Math.min(at.left, innerWidth - own.width - 10))}px`);
    card.style.setProperty("top", `${below ? at.bottom + 6 : Math.max(10, at.top - own.height - 6)}px`);
  };

  const want = (chip, delay) => {
    if (cardFor === chip) return;
    hideCard();
    cardTimer = setTimeout(showCard, delay, chip);
  };
  // The pointer may go from the chip onto the card, to read or copy.
  const leave = (event) => {
    const to = event.relatedTarget;
    if (to && (card.contains(to) || cardFor?.contains(to))) return;
    clearTimeout(cardTimer);
    cardTimer = setTimeout(hideCard, 180);
  };
  board.addEventListener("pointerover", (event) => {
    const chip = event.pointerType === "mouse" && event.target.closest(".chip");
    if (chip) want(chip, 280);
  });
  board.addEventListener("pointerout", (event) => event.target.closest(".chip") && leave(event));
  card.addEventListener("pointerenter", () => clearTimeout(cardTimer));
  card.addEventListener("pointerleave", leave);
  board.addEventListener("focusin", (event) => {
    const chip = event.target.closest(".chip");
    if (chip && event.target.matches(":focus-visible")) want(chip, 150);
  });
  board.addEventListener("focusout", leave);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hideCard());
  addEventListener("scroll", hideCard, { passive: true });

  /* --- filters, the wall, and off we go -------------------------------------------------------------------------- */

  for (const form of document.querySelectorAll("[data-filters]")) {
    form.addEventListener("change", () => {
      // Empty choices don't belong into the address.
      for (const field of form.querySelectorAll("select")) field.disabled = !field.value;
      form.submit();
    });
  }
  const fullScreen = document.querySelector("[data-full]");
  if (fullScreen && document.fullscreenEnabled) {
    fullScreen.hidden = false;
    fullScreen.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
  }
  if (wall) {
    let idle = 0;
    const awake = () => {
      document.body.classList.remove("idle");
      clearTimeout(idle);
      idle = setTimeout(() => document.body.classList.add("idle"), 4000);
    };
    addEventListener("pointermove", awake, { passive: true });
    addEventListener("keydown", awake);
    awake();
  }

  const settle = () => requestAnimationFrame(() => requestAnimationFrame(() => board.classList.add("settled")));
  const arm = () => {
    board.classList.add("moving");
    for (const block of board.querySelectorAll("[data-block], #b-facts")) written.set(block, html(block));
  };
  arm();
  draw();
  settle();
  let resizing = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(resizing);
    board.classList.remove("settled");
    resizing = requestAnimationFrame(() => {
      draw();
      settle();
    });
  });
  setInterval(() => !document.hidden && draw(), 1000);
})();

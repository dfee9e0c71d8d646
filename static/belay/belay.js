// What every page shares: times that stay fresh, messages, menus, the theme, drafts, forms sent once, keys.
// Pages work without it: forms post and links navigate.
"use strict";
(() => {
  const $ = (query, from = document) => from.querySelector(query);
  const all = (query, from = document) => [...from.querySelectorAll(query)];

  // --- the server's clock: deadlines are its own, a laptop's clock may be wrong ------------------------------------
  const stamp = document.body.dataset.now;
  const offset = stamp ? Date.parse(stamp) - Date.now() : 0;
  const now = () => Date.now() + (Math.abs(offset) > 2000 ? offset : 0);

  // The same words as core.durations.spoken.
  const spoken = (ms) => {
    const seconds = Math.floor(Math.abs(ms) / 1000);
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return minutes % 60 ? `${hours} h ${String(minutes % 60).padStart(2, "0")}` : `${hours} h`;
    const days = Math.floor(hours / 24);
    return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
  };

  const refreshTimes = () => {
    for (const time of all("time[data-time]")) {
      const passed = now() - Date.parse(time.dateTime);
      let text;
      if (time.dataset.time === "left") {
        text = `${spoken(passed)} ${passed > 0 ? "late" : "left"}`;
        if (passed > 0 && !time.classList.contains("late")) time.classList.add("late");
      } else if (time.dataset.time === "since") {
        text = spoken(passed);
      } else if (Math.abs(passed) < 45000) {
        text = "just now";
      } else {
        text = passed > 0 ? `${spoken(passed)} ago` : `in ${spoken(passed)}`;
      }
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(refreshTimes, 5000);

  // --- messages ----------------------------------------------------------------------------------------------------
  const toasts = $("#toasts");
  const arm = (toast) => {
    const close = $("[data-dismiss]", toast);
    if (close) {
      close.hidden = false;
      close.addEventListener("click", () => toast.remove());
    }
    // What went wrong stays until it is read; what went well may go.
    if (!toast.classList.contains("error")) setTimeout(() => toast.remove(), 7000);
  };
  all(".toast-item", toasts).forEach(arm);

  const say = (text, level = "info", key = "") => {
    if (key) all(`.toast-item[data-key="${key}"]`, toasts).forEach((old) => old.remove());
    const toast = document.createElement("div");
    toast.className = `toast-item ${level}`;
    toast.setAttribute("role", level === "error" ? "alert" : "status");
    if (key) toast.dataset.key = key;
    const mark = document.createElement("span");
    mark.setAttribute("aria-hidden", "true");
    mark.textContent = level === "error" ? "!" : "✓";
    const words = document.createElement("p");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "plain";
    close.dataset.dismiss = "";
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "×";
    toast.append(mark, words, close);
    toasts.append(toast);
    arm(toast);
    return toast;
  };

  // --- htmx: failures are said, never swallowed --------------------------------------------------------------------
  document.body.addEventListener("htmx:sendError", (event) => {
    const quiet = event.detail.requestConfig && event.detail.requestConfig.verb === "get";
    say(
      quiet
        ? "Belay does not answer. What you see may be old; it is fetched again when the connection is back."
        : "Belay does not answer, so nothing was sent. Your text is kept; send it again when the connection is back.",
      "error",
      quiet ? "dead" : "unsent",
    );
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    const { status, responseText, getResponseHeader } = event.detail.xhr;
    if (status === 401) {
      const toast = say("You are signed out. Your text is kept. ", "error", "signed-out");
      const link = document.createElement("a");
      link.href = `/sign-in/?next=${encodeURIComponent(location.pathname + location.search)}`;
      link.textContent = "Sign in again";
      $("p", toast).append(link);
    } else if (status === 403) {
      say("You may not do this. If that is wrong, ask a lead or an admin.", "error", "refused");
    } else if (status === 404) {
      say("This is gone, or it is not yours to see.", "error", "gone");
    } else if (status < 500 && (event.detail.xhr.getResponseHeader("Content-Type") || "").startsWith("text/plain")) {
      say(responseText, "error", "refused");
    } else if (status !== 409 && status !== 422) {
      say(`Belay could not do this (error ${status}). Nothing was changed; try again.`, "error", "broken");
    }
  });
  // A form shown again with what is wrong in it is an answer to be swapped in, not a failure.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if ([409, 422].includes(event.detail.xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    // A refresh in the background that works is no answer to a text that was not sent.
    const sent = event.detail.requestConfig && event.detail.requestConfig.verb !== "get";
    const over = sent ? '[data-key="dead"], [data-key="unsent"]' : '[data-key="dead"]';
    all(".toast-item", toasts).filter((old) => old.matches(over)).forEach((old) => old.remove());
  });
  document.body.addEventListener("say", (event) => say(event.detail.text, event.detail.level || "success", "said"));

  // --- the bell is fetched when it is opened -----------------------------------------------------------------------
  document.addEventListener("toggle", (event) => {
    const sheet = event.target.matches("[data-bell][open]") && $("[data-bell-url]", event.target);
    if (sheet && window.htmx) window.htmx.ajax("GET", sheet.dataset.bellUrl, { target: sheet, swap: "innerHTML" });
  }, true);

  // --- menus close as people expect --------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    for (const menu of all("details[data-menu][open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of all("details[data-menu][open]")) {
      menu.open = false;
      $("summary", menu).focus();
    }
  });

  // --- the theme, without a reload ---------------------------------------------------------------------------------
  for (const form of all("[data-theme-form]")) {
    form.addEventListener("submit", (event) => {
      const chosen = event.submitter && event.submitter.value;
      if (!chosen) return;
      event.preventDefault();
      const root = document.documentElement;
      root.dataset.themeChoice = chosen;
      const secure = location.protocol === "https:" ? "; secure" : "";
      if (chosen === "system") {
        document.cookie = `belay_theme=; path=/; max-age=0; samesite=lax${secure}`;
        window.belayFollowTheme();
      } else {
        document.cookie = `belay_theme=${chosen}; path=/; max-age=31536000; samesite=lax${secure}`;
        root.dataset.bsTheme = chosen;
      }
      for (const button of all("button[name=theme]", form)) {
        button.setAttribute("aria-pressed", String(button.value === chosen));
      }
    });
  }

  // --- forms are sent once -----------------------------------------------------------------------------------------
  // The server keeps each form's token, so a second post adds nothing; this only spares people the wondering.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sending) {
      event.preventDefault();
      return;
    }
    if (form.hasAttribute("hx-post") || form.hasAttribute("data-hx-post")) return;
    form.dataset.sending = "1";
    // A page taken from the browser's cache must be usable again.
    setTimeout(() => delete form.dataset.sending, 8000);
  });
  window.addEventListener("pageshow", () => all("form[data-sending]").forEach((form) => delete form.dataset.sending));

  // --- drafts: kept per place until the server has them ------------------------------------------------------------
  const draftKey = (field) => `belay-draft:${field.dataset.draft}`;
  const keep = (field) => {
    try {
      if (field.value && field.value !== field.defaultValue) localStorage.setItem(draftKey(field), field.value);
      else localStorage.removeItem(draftKey(field));
    } catch {
      // A browser that keeps nothing: the text is still in its field.
    }
  };
  const restore = (from) => {
    for (const field of all("[data-draft]", from)) {
      try {
        const kept = localStorage.getItem(draftKey(field));
        if (kept && field.value === field.defaultValue) {
          field.value = kept;
          field.dispatchEvent(new Event("draft-restored", { bubbles: true }));
        }
      } catch {
        return;
      }
    }
  };
  document.addEventListener("input", (event) => event.target.matches?.("[data-draft]") && keep(event.target));
  const dropDrafts = (prefix) => {
    try {
      Object.keys(localStorage).filter((key) => key.startsWith(`belay-draft:${prefix}`)).forEach((key) => localStorage.removeItem(key));
    } catch {
      // nothing kept, nothing to drop
    }
  };
  // The page after a post names what has arrived; only then is a draft forgotten.
  const sent = document.body.dataset.sent || $("[data-sent]")?.dataset.sent;
  if (sent) dropDrafts(sent);

  // --- dialogs -----------------------------------------------------------------------------------------------------
  const openDialog = (dialog) => {
    if (!dialog.open) dialog.showModal();
    ($("[autofocus]", dialog) || $("textarea, input:not([type=hidden]), button", dialog))?.focus();
  };
  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    if (close) {
      const dialog = close.closest("dialog");
      if (dialog) {
        event.preventDefault();
        dialog.close();
      }
    }
    if (event.target.closest("[data-help]")) $("#help-keys")?.showModal();
    if (event.target.matches?.("dialog.box")) event.target.close();
  });
  if ($("#help-keys")) all("[data-help]").forEach((button) => (button.hidden = false));

  // --- keys: never while somebody types ----------------------------------------------------------------------------
  const typing = (target) =>
    target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) || target.closest("dialog[open]");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.repeat) return;
    if (typing(event.target) || $("dialog[open]")) return;
    if (event.key === "/") {
      const find = $("#find");
      if (find && find.offsetParent) {
        event.preventDefault();
        find.focus();
      }
    } else if (event.key === "?") {
      event.preventDefault();
      $("#help-keys")?.showModal();
    } else {
      const target = $(`[data-key-press="${CSS.escape(event.key)}"]:not([disabled])`);
      if (target) {
        event.preventDefault();
        if (target.matches("textarea, input")) target.focus();
        else target.click();
      }
    }
  });

  // --- for scripts of single pages ---------------------------------------------------------------------------------
  window.belay = { $, all, now, spoken, refreshTimes, say, openDialog, typing, restore, dropDrafts };
  restore(document);
  document.body.addEventListener("htmx:afterSettle", (event) => {
    restore(event.target);
    refreshTimes();
  });
})();

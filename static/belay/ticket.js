// The ticket page: forms in a dialog, keys, the timeline's switch, parts that refresh after a verb.
// Without it every link is a page and every form a post.
"use strict";
(() => {
  const { $, all, say, openDialog, typing, dropDrafts } = window.belay;
  const sheet = $("#sheet");

  // --- forms open in the dialog; the link's own page is the fallback -----------------------------------------------
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-sheet]");
    if (!link || !sheet || !window.htmx || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    sheet.dataset.opener = link.id || "";
    window.htmx.ajax("GET", link.getAttribute("href"), { target: sheet, swap: "innerHTML" }).then(() => {
      if (sheet.childElementCount) openDialog(sheet);
    });
  });
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (event.target !== sheet || !sheet.open) return;
    ($("#sheet-error", sheet) || $("[autofocus]", sheet))?.focus();
    sheet.scrollTop = 0;
  });
  sheet?.addEventListener("close", () => {
    sheet.innerHTML = "";
    // The browser gives the focus back to the very link, which a refresh may have replaced meanwhile.
    if (document.activeElement === document.body) document.getElementById(sheet.dataset.opener)?.focus();
  });

  // --- after a verb: everything that shows the ticket is fetched again, the composer is left alone -------------------
  const refresh = () => $("#conversation")?.dispatchEvent(new CustomEvent("live"));
  document.body.addEventListener("belay:changed", () => {
    if (sheet?.open) {
      dropDrafts(`t${location.pathname.split("/")[2]}:escalate`);
      dropDrafts(`t${location.pathname.split("/")[2]}:fall`);
      dropDrafts(`t${location.pathname.split("/")[2]}:wish`);
      sheet.close();
    }
    refresh();
  });
  document.body.addEventListener("belay:sent", (event) => dropDrafts(event.detail.prefix));
  document.body.addEventListener("belay:go", (event) => location.assign(event.detail.to));

  // --- the whole timeline and back, without losing what is being written -------------------------------------------
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-swap-timeline]");
    if (!link || !window.htmx || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const wanted = link.dataset.swapTimeline;
    const shown = () => $("#conversation [data-swap-timeline]");
    const show = (again) => {
      // A refresh under way would replace what this answer is to replace, and the answer would be lost; others wait.
      window.htmx.trigger("#conversation", "htmx:abort");
      return window.htmx
        .ajax("GET", wanted, { target: "#conversation", swap: "outerHTML" })
        .then(() => (again && shown()?.dataset.swapTimeline === wanted ? show(false) : undefined));
    };
    window.belayHold("conversation", () => show(true)).then(() => {
      history.replaceState(null, "", link.getAttribute("href"));
      shown()?.focus();
    });
  });

  // --- say it when the other side wrote while we looked ------------------------------------------------------------
  let seen = $("#conversation")?.dataset.events;
  document.body.addEventListener("htmx:afterSettle", (event) => {
    const story = $("#conversation");
    if (!story || event.target.id !== "conversation" || story.dataset.events === seen) return;
    seen = story.dataset.events;
    const last = all(".entry", story).pop();
    if (last) last.classList.add("fresh");
  });

  // --- the composer ------------------------------------------------------------------------------------------------
  const dress = () => {
    const form = $("#composer");
    if (!form) return;
    const kind = form.elements.kind.value;
    const name = form.dataset.name;
    const words = {
      reply: `Write to ${name}.`,
      note: "For agents only.",
      update: `Where things stand, for ${name} and the stakeholders.`,
    };
    $("#body", form).placeholder = words[kind] || "";
    const files = $("#files", form);
    const label = $("[data-files-label]", form);
    label.textContent = files.files.length ? `${files.files.length} file${files.files.length > 1 ? "s" : ""}` : "Files";
  };
  document.addEventListener("change", (event) => event.target.closest?.("#composer") && dress());
  document.body.addEventListener("htmx:afterSettle", dress);
  dress();

  const writeAs = (kind) => {
    const radio = $(`#kind-${kind}`);
    if (!radio) return;
    radio.checked = true;
    dress();
    const field = kind === "handoff" ? $("#handoff-impact") : $("#body");
    field.focus();
    field.scrollIntoView({ block: "center" });
  };
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && field.matches?.("textarea")) {
      event.preventDefault();
      // The first button, as Enter does in a one-line field.
      const form = field.form;
      form?.requestSubmit($("button:not([type=button])", form));
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(field) || $("dialog[open]")) return;
    if (event.key === "r" || event.key === "n") {
      event.preventDefault();
      writeAs(event.key === "r" ? "reply" : "note");
    }
  });

  // --- a page that is left with unsent text keeps it as a draft; one that can't says so -----------------------------
  document.body.addEventListener("draft-restored", (event) => {
    if (event.target.id === "body") say("Your draft is back.", "info", "draft");
  });
})();

// The queue page: filters apply at once, j and k walk the list.
"use strict";
(() => {
  const { $, all, typing } = window.belay;
  for (const form of all("[data-autosubmit]")) {
    form.addEventListener("change", () => {
      // Fields left empty would only lengthen the address.
      for (const field of all("select, input", form)) if (!field.value) field.disabled = true;
      form.submit();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (!["j", "k"].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target) || $("dialog[open]")) return;
    const links = all("[data-open]");
    const at = links.indexOf(document.activeElement);
    const next = links[event.key === "j" ? at + 1 : Math.max(at - 1, 0)];
    if (next) {
      event.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    }
  });
  // On a phone the queues scroll sideways: the chosen one must be in sight.
  $("#queue-nav .on")?.scrollIntoView({ block: "nearest", inline: "center" });
  // After a click on "Take" the list shows it at once; the stream may come a moment later.
  document.body.addEventListener("belay:changed", () => {
    const list = $("#queue-live");
    if (list) list.dispatchEvent(new CustomEvent("live"));
  });
})();

// The outbox: one box ticks all.
(() => {
  "use strict";
  for (const form of document.querySelectorAll("[data-ticks]")) {
    const all = form.querySelector("[data-tick-all]");
    const boxes = [...form.querySelectorAll('input[name="row"]')];
    if (!all || !boxes.length) continue;
    all.hidden = false;
    all.addEventListener("change", () => boxes.forEach((box) => { box.checked = all.checked; }));
    form.addEventListener("change", (event) => {
      if (event.target === all) return;
      const ticked = boxes.filter((box) => box.checked).length;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    });
  }
})();

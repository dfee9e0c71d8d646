// The new ticket's form: shows which severity the matrix proposes; the server decides it again.
"use strict";
(() => {
  const { $ } = window.belay;
  const form = $("form[data-matrix]");
  if (!form) return;
  const matrix = JSON.parse(form.dataset.matrix);
  const proposed = $("option[data-proposed]", form);
  const show = () => {
    proposed.textContent = `SEV${matrix[form.impact.value + form.urgency.value]}, as the matrix proposes`;
  };
  form.addEventListener("change", show);
  form.addEventListener("submit", () => window.belay.dropDrafts("new:"));
  show();
})();

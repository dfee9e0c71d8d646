// The requester's forms: say at once when a file is too much, and lead the eye to what is wrong.
// The server checks the same; without this script its answer says it.
"use strict";
(() => {
  const problem = (input) => {
    const most = Number(input.dataset.mostFiles);
    const megabytes = Number(input.dataset.mostMegabytes);
    if (input.files.length > most) return `${input.files.length} files are too many: at most ${most} at once.`;
    const big = [...input.files].find((file) => file.size > megabytes * 1000000);
    return big ? `“${big.name}” is larger than ${megabytes} MB. Send a smaller file or a link.` : "";
  };
  for (const input of document.querySelectorAll("input[type=file][data-most-files]")) {
    const words = document.getElementById("files-error");
    const check = () => {
      const text = problem(input);
      words.textContent = text;
      words.hidden = !text;
      return !text;
    };
    input.addEventListener("change", check);
    input.form.addEventListener(
      "submit",
      (event) => {
        if (check()) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        input.focus();
      },
      true,
    );
  }
  document.querySelector("[data-focus]")?.focus();
})();

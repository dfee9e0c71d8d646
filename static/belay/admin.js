// The admin works without this file; it saves page loads, keeps the keyboard's place, and warns before input is lost.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);

  const theme = $("admin-theme");
  if (theme) {
    theme.form.classList.add("scripted");
    theme.addEventListener("change", () => theme.form.submit());
  }

  // Another country has other parts and kinds of days: they come with the page.
  const country = document.querySelector("#holiday-choice select[name=country]");
  if (country) country.addEventListener("change", () => country.form.submit());

  // A job under way: its part of the page is fetched again each second. The keyboard stays where it is.
  const follow = async () => {
    const job = $("job");
    const address = job && job.dataset.live;
    if (!address) return;
    try {
      const answer = await fetch(address, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("job");
      if (!fresh) return; // signed out meanwhile: the next click says so
      if (fresh.dataset.state === job.dataset.state) {
        $("job-progress").replaceWith(fresh.querySelector("#job-progress"));
      } else {
        const held = job.contains(document.activeElement);
        // The heading stays the same element, so that a screen reader hears what it says now.
        const said = $("job-said"), words = fresh.querySelector("#job-said");
        const text = words.textContent;
        job.replaceWith(fresh);
        words.replaceWith(said);
        said.textContent = text;
        if (held) said.focus();
      }
    } catch {
      // Try again: the server is restarted, the network is away.
    }
    setTimeout(follow, 1000);
  };
  if ($("job")) setTimeout(follow, 1000);

  // A test under way: what became of it is asked for each second.
  const lookAgain = async () => {
    const part = $("method-tests");
    if (!part || !part.dataset.live) return;
    try {
      const answer = await fetch(part.dataset.live, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("method-tests");
      if (!fresh) return; // signed out meanwhile: the next click says so
      const held = part.contains(document.activeElement) && document.activeElement.id;
      part.replaceWith(fresh);
      if (held && $(held)) $(held).focus();
    } catch {
      // Try again: the server is restarted, the network is away.
    }
    setTimeout(lookAgain, 1000);
  };
  setTimeout(lookAgain, 1000);

  const form = $("path-form");
  if (!form) return;
  let dirty = form.hasAttribute("data-dirty");
  const touched = () => { dirty = true; };
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

  form.addEventListener("input", (event) => {
    touched();
    const prefix = /^(steps-\d+)-name$/.exec(event.target.name || "");
    if (!prefix) return;
    for (const title of document.querySelectorAll(`[data-step-title="${prefix[1]}"]`)) {
      title.textContent = event.target.value || `Step ${Number(prefix[1].slice(6)) + 1}`;
    }
  });

  const focusOn = (id) => {
    const target = id && $(id);
    if (target) target.focus();
  };

  // A step is moved by the server, so that there is one place that knows how; only the page load is saved.
  const rearrange = async (button) => {
    const input = new FormData(form);
    input.append(button.name, button.value);
    form.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(location.href, { method: "POST", body: input, credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("path-form");
      if (!fresh) throw new Error("no form came back");
      form.replaceChildren(...fresh.childNodes);
      touched();
      $("path-said").textContent = fresh.dataset.said;
      focusOn(fresh.dataset.focus);
    } catch (error) {
      $("path-said").textContent = `That did not work (${error.message}). Nothing is lost; try again.`;
    } finally {
      form.removeAttribute("aria-busy");
    }
  };

  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && button.name === "_do") {
      event.preventDefault();
      if (!form.hasAttribute("aria-busy")) rearrange(button);
    } else {
      dirty = false;
    }
  });

  // Links of the list of mistakes and doubts lead to the control itself.
  form.addEventListener("click", (event) => {
    const link = event.target.closest(".errornote a, .doubts a");
    const target = link && $(link.hash.slice(1));
    if (target && target.matches("input, select, textarea")) {
      event.preventDefault();
      const folded = target.closest("details");
      if (folded) folded.open = true;
      target.focus();
    }
  });

  focusOn(form.dataset.focus);
})();

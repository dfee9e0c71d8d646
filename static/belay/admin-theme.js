// Runs before the first paint: the admin follows the theme this browser chose in the app (cookie belay_theme).
(() => {
  const chosen = /(?:^|; )belay_theme=(light|dark)(?:;|$)/.exec(document.cookie);
  document.documentElement.dataset.theme = chosen ? chosen[1] : "auto";
})();

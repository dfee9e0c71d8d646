"use strict";

// Swagger UI on Belay's OpenAPI document; a file of its own, as the Content-Security-Policy allows no inline script.
(() => {
  // Swagger UI has a dark form, but leaves it to the page to ask for it.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", dress);
  dress();

  const place = document.getElementById("swagger-ui");
  window.SwaggerUIBundle({
    url: place.dataset.schema,
    domNode: place,
    presets: [window.SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: "none",
    filter: true,
    persistAuthorization: false,
    tryItOutEnabled: true,
    validatorUrl: null,
    requestInterceptor(request) {
      // Whoever is signed in with the browser's session shows that the request comes from here.
      if (new URL(request.url, location.href).origin === location.origin && request.method !== "GET") {
        request.headers["X-CSRFToken"] = place.dataset.csrf;
      }
      return request;
    },
  });
})();

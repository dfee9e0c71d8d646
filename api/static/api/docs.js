"use strict";

// Swagger UI on Belay's OpenAPI document; a file of its own, as the Content-Security-Policy allows no inline script.
(() => {
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

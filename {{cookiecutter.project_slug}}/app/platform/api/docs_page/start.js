// A separate file, because the Content-Security-Policy of the page forbids inline scripts.
const version = new URLSearchParams(location.search).get("version");
const links = [...document.querySelectorAll("nav a")];
const selected = links.find((link) => link.textContent === version) ?? links[0];
const specification = selected.dataset.specification;

selected.setAttribute("aria-current", "page");
document.getElementById("specification").href = specification;

SwaggerUIBundle({
  url: specification,
  dom_id: "#documentation",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null, // Swagger UI's default validator is on another host
});

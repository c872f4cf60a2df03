// A file of its own, since the page's policy refuses scripts that stand in the page.
const wanted = new URLSearchParams(location.search).get("version");
const links = [...document.querySelectorAll("nav a")];
const chosen = links.find((link) => link.textContent === wanted) ?? links[0];
const address = chosen.dataset.specification;

chosen.setAttribute("aria-current", "page");
document.getElementById("specification").href = address;

SwaggerUIBundle({
  url: address,
  dom_id: "#documentation",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null, // the validator is somebody else's host
});

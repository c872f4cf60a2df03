// A file of its own, since the page's policy refuses scripts that stand in the page.
SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  validatorUrl: null, // the validator is somebody else's host
});

// Reading what is on the page.

function read(element, what) {
  if (!element) return null;
  if (what === "text") return element.innerText?.trim() ?? element.textContent.trim();
  if (what === "html") return element.innerHTML;
  if (what === "checked") return String(element.checked ?? element.getAttribute("aria-checked") === "true");
  if (what === "value") return element.value ?? null;
  return element.getAttribute(what.attribute);
}

/** How to find a field in a row. A plain selector is the common case and needs no detours. */
function finder(locator, isFlat) {
  if (!locator) return (row) => row;
  const selector = locator.by.css;
  if (isFlat && selector && locator.nth === null && !locator.within) {
    try {
      document.createDocumentFragment().querySelector(selector);
    } catch (error) {
      throw badSelector(selector, error.message);
    }
    return (row) => row.querySelector(selector);
  }
  return (row) => all(locator, row)[0];
}

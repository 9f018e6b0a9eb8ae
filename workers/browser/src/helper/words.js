// Words: how texts are compared, and how elements are written for people.

const squeeze = (text) => text.replace(/\s+/g, " ").trim();

const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** Whether a text is the wanted one: equal with `exact`, else contained without case. */
const fits = (text, wanted, exact) =>
  exact
    ? squeeze(text) === squeeze(wanted)
    : squeeze(text).toLowerCase().includes(squeeze(wanted).toLowerCase());

/** An element as people recognise it. Values of fields are left out: they may be secrets. */
function describe(element) {
  const tag = element.localName;
  let attributes = "";
  for (const name of ["id", "class", "role", "type", "name", "href", "aria-label", "data-testid", "disabled"]) {
    const value = element.getAttribute(name);
    if (value !== null) attributes += value === "" ? ` ${name}` : ` ${name}="${shorten(value, 40)}"`;
  }
  const isField = /^(input|textarea|select)$/.test(tag) || element.isContentEditable;
  const text = isField ? "" : shorten(squeeze(element.textContent), 40);
  return `<${tag}${attributes}>${text}`;
}

function badSelector(selector, reason) {
  return new Error(`BadSelector: ${selector}: ${squeeze(String(reason))}`);
}

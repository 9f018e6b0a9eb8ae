// Words: how texts are compared, and how elements are written for people.

const squeeze = (text) => text.replace(/\s+/g, " ").trim();

/** The marks between which a text stands that the client is to cut, and behind how many characters. */
const [CUT, AT, END] = ["\ue0f0", "\ue0f1", "\ue0f2"];

/** A text that is too long is cut by the client, once it has taken out what must not be seen: half a secret is one, too. */
const shorten = (text, length) =>
  text.length > length ? `${CUT}${length}${AT}${text.slice(0, 10000 + length).replace(/[\ue0f0-\ue0f2]/g, "")}${END}` : text;

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

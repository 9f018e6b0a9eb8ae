// ARIA roles and accessible names.

const inputRoles = {
  button: "button", checkbox: "checkbox", color: null, date: null, email: "textbox", file: null,
  hidden: null, image: "button", number: "spinbutton", password: "textbox", radio: "radio",
  range: "slider", reset: "button", search: "searchbox", submit: "button", tel: "textbox",
  text: "textbox", url: "textbox",
};

const sectioning = "article, aside, main, nav, section";

const tagRoles = {
  a: (e) => (e.hasAttribute("href") ? "link" : "generic"),
  area: (e) => (e.hasAttribute("href") ? "link" : "generic"),
  article: "article", aside: "complementary", blockquote: "blockquote", button: "button",
  caption: "caption", code: "code", datalist: "listbox", dd: "definition", del: "deletion",
  details: "group", dfn: "term", dialog: "dialog", dt: "term", em: "emphasis",
  fieldset: "group", figure: "figure",
  footer: (e) => (e.closest(sectioning) ? "generic" : "contentinfo"),
  form: (e) => (nameOf(e) ? "form" : null),
  h1: "heading", h2: "heading", h3: "heading", h4: "heading", h5: "heading", h6: "heading",
  header: (e) => (e.closest(sectioning) ? "generic" : "banner"),
  hr: "separator", html: "document",
  img: (e) => (e.getAttribute("alt") === "" && !e.title && !e.getAttribute("aria-label") ? "presentation" : "img"),
  input: (e) => {
    const role = inputRoles[e.type];
    return e.list && (role === "textbox" || role === "searchbox") ? "combobox" : role;
  },
  ins: "insertion", li: "listitem", main: "main", math: "math", menu: "list", meter: "meter",
  nav: "navigation", ol: "list", optgroup: "group", option: "option", output: "status",
  p: "paragraph", progress: "progressbar", search: "search",
  section: (e) => (nameOf(e) ? "region" : null),
  select: (e) => (e.multiple || e.size > 1 ? "listbox" : "combobox"),
  strong: "strong", sub: "subscript", summary: "button", sup: "superscript", svg: "img",
  table: "table", tbody: "rowgroup",
  td: (e) => (/^(grid|treegrid)$/.test(e.closest("table")?.getAttribute("role") ?? "") ? "gridcell" : "cell"),
  textarea: "textbox", tfoot: "rowgroup",
  th: (e) => (e.scope === "row" || e.scope === "rowgroup" ? "rowheader" : "columnheader"),
  thead: "rowgroup", time: "time", tr: "row", ul: "list",
};

/** Roles that an attribute can give. The first one of these in it counts. */
const knownRoles = new Set(
  `alert alertdialog application article banner blockquote button caption cell checkbox code columnheader combobox
  complementary contentinfo definition deletion dialog directory document emphasis feed figure form generic grid gridcell
  group heading img image insertion link list listbox listitem log main mark marquee math menu menubar menuitem
  menuitemcheckbox menuitemradio meter navigation none note option paragraph presentation progressbar radio radiogroup
  region row rowgroup rowheader scrollbar search searchbox separator slider spinbutton status strong subscript superscript
  switch tab table tablist tabpanel term textbox time timer toolbar tooltip tree treegrid treeitem`.split(/\s+/),
);

/** Whether people can get at an element, whatever its role says: then it is not just decoration. */
const isOfUse = (element) =>
  element.matches("a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary, [tabindex], [contenteditable]") ||
  ["aria-label", "aria-labelledby", "aria-describedby", "aria-live"].some((name) => element.hasAttribute(name));

function roleOf(element) {
  let explicit = element.getAttribute("role")?.toLowerCase().split(/\s+/).find((role) => knownRoles.has(role));
  if (explicit === "image") explicit = "img";
  const isDecoration = explicit === "none" || explicit === "presentation";
  if (explicit && !(isDecoration && isOfUse(element))) return explicit;
  const implied = tagRoles[element.localName];
  return typeof implied === "function" ? implied(element) : (implied ?? null);
}

/** Which elements can have a role at all, so that not every element has to be asked. */
function candidatesOf(role) {
  const tags = Object.keys(tagRoles).filter((tag) => {
    const implied = tagRoles[tag];
    return typeof implied === "function" || implied === role;
  });
  return [...tags, "[role]"].join(",");
}

const namedByContent = new Set([
  "button", "cell", "checkbox", "columnheader", "gridcell", "heading", "link", "menuitem",
  "menuitemcheckbox", "menuitemradio", "option", "radio", "row", "rowheader", "switch", "tab",
  "tooltip", "treeitem",
]);

let labelsByRoot = null;

/**
 * The labels of a control. The list that the platform has (`labels`) goes through the whole
 * document for each control; here that is done once for all that is looked at in one go.
 */
function labelsFor(element) {
  if (!labelsByRoot) {
    labelsByRoot = new Map();
    queueMicrotask(() => (labelsByRoot = null));
  }
  const root = element.getRootNode();
  let byControl = labelsByRoot.get(root);
  if (!byControl) {
    byControl = new Map();
    for (const label of root.querySelectorAll?.("label") ?? []) {
      if (label.control) byControl.set(label.control, [...(byControl.get(label.control) ?? []), label]);
    }
    labelsByRoot.set(root, byControl);
  }
  return byControl.get(element) ?? [];
}

function idsIn(element, attribute) {
  const root = element.getRootNode();
  const ids = element.getAttribute(attribute)?.split(/\s+/).filter(Boolean) ?? [];
  return ids.map((id) => root.getElementById?.(id)).filter(Boolean);
}

/** What a style sheet adds before or after an element. */
function addedText(element, place) {
  const { content } = getComputedStyle(element, place);
  if (content === "none" || content === "normal") return "";
  // Text for people who can't see the sign stands after a slash.
  const spoken = content.split(" / ").at(-1);
  return [...spoken.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text.replace(/\\(.)/g, "$1")).join("");
}

/** What a field inside of a name says: its value, as it would be read out. Never a password. */
function fieldText(element) {
  if (element.localName === "select") return [...element.selectedOptions].map((o) => o.label).join(" ");
  if (element.localName === "textarea") return element.value;
  if (/^(checkbox|radio|file|hidden|image|password)$/.test(element.type)) return "";
  return element.value;
}

/** The text that content contributes to a name: hidden parts don't count, images do. */
function contentName(node, named) {
  if (node === named) return "";
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  const tag = node.localName;
  if (/^(script|style|noscript|template)$/.test(tag)) return "";
  if (tag === "br") return " ";
  if (node.getAttribute("aria-hidden") === "true") return "";
  const style = getComputedStyle(node);
  if (style.display === "none" || style.visibility === "hidden") return "";
  const label = node.getAttribute("aria-label")?.trim();
  if (/^(input|select|textarea)$/.test(tag)) return ` ${fieldText(node) || (label ?? "")} `;
  if (label) return label;
  if (tag === "img") return node.alt;
  if (tag === "svg") return node.querySelector("title")?.textContent ?? node.textContent;
  const slotted = tag === "slot" ? node.assignedNodes({ flatten: true }) : [];
  const children = slotted.length ? slotted : (node.shadowRoot ?? node).childNodes;
  let text = addedText(node, "::before");
  for (const child of children) text += contentName(child, named);
  text += addedText(node, "::after");
  return style.display.startsWith("inline") ? text : ` ${text} `;
}

function nameOf(element) {
  const referenced = idsIn(element, "aria-labelledby");
  if (referenced.length) return squeeze(referenced.map((e) => e.getAttribute("aria-label") || contentName(e) || e.textContent).join(" "));
  const label = element.getAttribute("aria-label")?.trim();
  if (label) return label;
  const tag = element.localName;
  if (tag === "input" && /^(button|submit|reset)$/.test(element.type)) {
    const word = { submit: "Submit", reset: "Reset", button: "" }[element.type];
    return squeeze(element.value || element.title || word);
  }
  const labels = labelsFor(element);
  if (labels.length) {
    const text = squeeze(labels.map((label) => contentName(label, element)).join(" "));
    if (text) return text;
  }
  if (tag === "img" || tag === "area" || (tag === "input" && element.type === "image")) {
    if (element.alt) return squeeze(element.alt);
  }
  const first = { fieldset: "legend", table: "caption", figure: "figcaption", svg: "title" }[tag];
  const child = first && [...element.children].find((e) => e.localName === first);
  if (child) return squeeze(child.textContent);
  // The role of a form or a section hangs on its name.
  const role = /^(form|section)$/.test(tag) ? element.getAttribute("role") : roleOf(element);
  if (namedByContent.has(role)) {
    const text = squeeze(contentName(element));
    if (text) return text;
  }
  return squeeze(element.title || element.getAttribute("placeholder") || "");
}

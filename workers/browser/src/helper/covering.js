// Covering what must not be seen on a picture. What that is only the client knows: it gets the texts, and says where in
// them. No secret comes here but by the page itself.

const masks = [];

/** Fields into which something was entered that must not be seen, whatever has become of it. */
const concealed = new Set();

const isConcealed = (element) => [...concealed].some((known) => known.deref() === element);

/** Notes that something is in a field that must not be seen, or that something else has replaced it. */
function conceal(element, isHidden) {
  for (const known of concealed) {
    const other = known.deref();
    if (!other || other === element) concealed.delete(known);
  }
  if (isHidden) concealed.add(new WeakRef(element));
}

/** What the client was shown last: the nodes of texts, and the elements that show a value. */
let shown = { texts: [], fields: [] };

const hasNoText = "script, style, noscript, template, head, title";

/** What an element shows that is no text of the document. */
function valuesOf(element) {
  switch (element.localName) {
    case "input":
      return /^(hidden|checkbox|radio|file|range|color|image)$/.test(element.type) ? null : element.value || element.placeholder;
    case "textarea":
      return element.value || element.placeholder;
    case "select": {
      const isOpen = element.multiple || element.size > 1;
      return [...(isOpen ? element.options : element.selectedOptions)].map((option) => option.label).join(" ");
    }
    case "img":
      return element.alt;
    default:
      return null;
  }
}

/** Closed shadow roots, which only the client can find. */
let closedRoots = [];

/** So many elements at most are looked into by the client. */
const mostHosts = 300;

const mayHaveShadow = /-|^(article|aside|blockquote|body|div|footer|h[1-6]|header|main|nav|p|section|span)$/;

/** Whether something that is directly in an element has a place of its own on the page. */
function showsContent(element) {
  for (const child of element.childNodes) {
    if (child.nodeType === Node.ELEMENT_NODE && child.getClientRects().length) return true;
    if (child.nodeType !== Node.TEXT_NODE || !child.data.trim()) continue;
    const range = document.createRange();
    range.selectNode(child);
    if (range.getClientRects().length) return true;
  }
  return false;
}

/** The elements that may have a closed shadow root: they show something, and it is nothing that is in them. */
function possibleHosts() {
  const hosts = [];
  for (const root of [document, ...closedRoots].flatMap(rootsOf)) {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot || !mayHaveShadow.test(element.localName)) continue;
      if (!element.localName.includes("-") && (!element.clientHeight || showsContent(element))) continue;
      hosts.push(element);
      if (hosts.length === mostHosts) return hosts;
    }
  }
  return hosts;
}

function showing() {
  shown = { texts: [], fields: [] };
  const texts = [];
  const fields = [];
  for (const root of [document, ...closedRoots].flatMap(rootsOf)) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.data.trim() || node.parentElement?.matches(hasNoText)) continue;
      shown.texts.push(node);
      texts.push(node.data);
    }
    for (const element of root.querySelectorAll("input, textarea, select, img[alt]")) {
      const value = valuesOf(element);
      if (!value) continue;
      shown.fields.push(element);
      fields.push(value);
    }
  }
  // One text reaches the client much sooner than as many values.
  return JSON.stringify({ texts, fields });
}

/** Lays an opaque box over a place, on top of everything, dialogs too. */
function layBox({ x, y, width, height }) {
  if (!width || !height) return;
  const box = document.createElementNS("http://www.w3.org/1999/xhtml", "div");
  box.popover = "manual";
  box.style.cssText = `all: initial; position: absolute; inset: auto; left: ${x + scrollX}px; top: ${y + scrollY}px; width: ${width}px; height: ${height}px; background: #f0f; z-index: 2147483647;`;
  document.documentElement.append(box);
  masks.push(box);
  try {
    box.showPopover();
  } catch {
    // A listener of the page's was in the way: the box is there all the same.
  }
}

/** Makes an element invisible: a box over it would not follow it onto paper. */
function hide(element) {
  const before = element.getAttribute("style");
  element.style.setProperty("visibility", "hidden", "important");
  // Chromium leaves an empty attribute behind if nobody has read it before.
  element.getAttribute("style");
  const remove = () => (before === null ? element.removeAttribute("style") : element.setAttribute("style", before));
  masks.push({ remove });
}

const coverElement = (element, isPrinted) => (isPrinted ? hide(element) : layBox(element.getBoundingClientRect()));

/** Covers these places: of the text or the field with an index, from one place to another. */
function coverFound(texts, fields, isPrinted) {
  for (const [index, start, end] of texts) {
    const node = shown.texts[index];
    if (!node?.isConnected) continue;
    if (isPrinted) {
      hide(node.parentElement ?? node.getRootNode().host);
      continue;
    }
    const range = document.createRange();
    range.setStart(node, Math.min(start, node.length));
    range.setEnd(node, Math.min(end, node.length));
    for (const box of range.getClientRects()) layBox(box);
  }
  for (const index of fields) if (shown.fields[index]?.isConnected) coverElement(shown.fields[index], isPrinted);
  for (const known of concealed) {
    const element = known.deref();
    if (element?.isConnected) coverElement(element, isPrinted);
  }
  shown = { texts: [], fields: [] };
  closedRoots = [];
}

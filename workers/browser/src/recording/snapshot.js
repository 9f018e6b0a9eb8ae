// Writes a document down as it is now, in pieces: [kind, text]. Kind 0 is markup, 1 is text, 2 is the value of an
// attribute, 3 is the index of a frame whose document belongs there, 4 is text that HTML does not escape, such as a
// style sheet. The pieces are text as people see it; whoever puts them together redacts and escapes them. Scripts are
// left out, so that opening the copy runs nothing. What is in fields now is there only `withValues`, and never what was
// typed into one for passwords or one-time codes.
(withValues) => {
  const pieces = [];
  const frames = [];
  const empty = /^(area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)$/;
  const raw = /^(style|xmp|noembed|noframes|plaintext)$/;
  const isSecret = (field) => field.type === "password" || /one-time-code|password|^cc-/.test(field.autocomplete);

  const push = (kind, text) => {
    const last = pieces[pieces.length - 1];
    if (kind === 0 && last?.[0] === 0) last[1] += text;
    else pieces.push([kind, text]);
  };

  const attribute = (name, value) => {
    push(0, ` ${name}="`);
    push(2, value);
    push(0, '"');
  };

  function attributes(element) {
    for (const { name, value } of element.attributes) {
      // A name that HTML could not have made can't be written as HTML either.
      if (/^on/i.test(name) || /[\s"'<>\/=]/.test(name) || /^\s*javascript:/i.test(value)) continue;
      if (/^(value|checked|srcdoc|data-legwork-.*)$/.test(name) && /^(input|option|iframe|frame)$/.test(element.localName)) continue;
      if (element.localName === "option" && name === "selected") continue;
      attribute(name, value);
    }
    if (element.localName === "option") {
      if (element.hasAttribute("value")) attribute("value", element.value);
      if (element.selected) push(0, " selected");
    }
    if (element.localName === "input") {
      const isTold = withValues ? element.type !== "file" : /^(button|submit|reset|checkbox|radio|hidden)$/.test(element.type);
      if (isTold && !isSecret(element)) attribute("value", element.value);
      if (element.checked) push(0, " checked");
    }
    if (/^i?frame$/.test(element.localName)) {
      push(0, ' srcdoc="');
      push(3, String(frames.push(element) - 1));
      push(0, '"');
    }
  }

  function children(node) {
    for (const child of node.childNodes) visit(child);
  }

  function visit(node) {
    if (node.nodeType === Node.TEXT_NODE) {
      if (raw.test(node.parentNode?.localName ?? "")) push(4, node.data);
      else push(1, node.data);
      return;
    }
    if (node.nodeType === Node.DOCUMENT_TYPE_NODE) return push(0, `<!DOCTYPE ${node.name}>\n`);
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const tag = node.localName;
    if (/^(script|noscript)$/.test(tag) || /[\s"'<>\/=]/.test(tag)) return;
    push(0, `<${tag}`);
    attributes(node);
    push(0, ">");
    if (empty.test(tag)) return;
    if (tag === "head" && !node.querySelector("base")) {
      push(0, "<base");
      attribute("href", document.baseURI);
      push(0, ">");
    }
    if (node.shadowRoot) {
      push(0, '<template shadowrootmode="open">');
      children(node.shadowRoot);
      push(0, "</template>");
    }
    if (tag === "textarea") {
      push(0, "\n");
      if (withValues && !isSecret(node)) push(1, node.value);
    } else {
      children(tag === "template" ? node.content : node);
    }
    push(0, `</${tag}>`);
  }

  children(document);
  globalThis.legworkSnapshotFrames = frames;
  return pieces;
}

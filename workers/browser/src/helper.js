// The part of the browser client that runs inside each document, in an isolated world that the
// page can't see: it finds elements, says whether they can be acted on, and waits for changes.
// It acts on nothing but focus, selection and scrolling, and it stores nothing in the page.
globalThis.legwork ??= (() => {
  "use strict";

  // ---- words -----------------------------------------------------------------------------

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

  // ---- the tree with open shadow roots ---------------------------------------------------

  const parentOf = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host ?? null;

  function contains(outer, inner) {
    for (let node = inner; node; node = node.parentElement ?? node.getRootNode().host) {
      if (node === outer) return true;
    }
    return false;
  }

  /** The root itself and all open shadow roots below it, in document order. */
  function rootsOf(root) {
    const roots = [root];
    const enter = (node) => {
      for (const element of node.querySelectorAll("*")) {
        if (element.shadowRoot) {
          roots.push(element.shadowRoot);
          enter(element.shadowRoot);
        }
      }
    };
    if (root.shadowRoot) {
      roots.push(root.shadowRoot);
      enter(root.shadowRoot);
    }
    enter(root);
    return roots;
  }

  function byOrder(elements) {
    const path = (element) => {
      const steps = [];
      for (let node = element; node; node = node.getRootNode().host) steps.unshift(node);
      return steps;
    };
    const compare = (left, right) => {
      const [a, b] = [path(left), path(right)];
      let index = 0;
      while (index < a.length && index < b.length && a[index] === b[index]) index++;
      if (index === a.length || index === b.length) return a.length - b.length;
      return a[index].compareDocumentPosition(b[index]) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1;
    };
    return [...elements].sort(compare);
  }

  // ---- visibility and state --------------------------------------------------------------

  function boxOf(element) {
    const style = getComputedStyle(element);
    if (style.display !== "contents") return element.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
  }

  function isVisible(element) {
    if (!element.isConnected) return false;
    if (!element.checkVisibility({ visibilityProperty: true })) {
      // An element without a box of its own is as visible as what is in it.
      if (getComputedStyle(element).display !== "contents") return false;
    }
    const box = boxOf(element);
    return box.width > 0 && box.height > 0;
  }

  function whyHidden(element) {
    if (!element.isConnected) return "it was removed from the page";
    for (let node = element; node; node = parentOf(node)) {
      const style = getComputedStyle(node);
      const of = node === element ? "it" : describe(node);
      if (style.display === "none") return `${of} has display: none`;
      if (style.visibility !== "visible") return `${of} has visibility: ${style.visibility}`;
      if (node !== element && !node.checkVisibility()) continue;
    }
    return "it has no size";
  }

  function isDisabled(element) {
    if (element.matches(":disabled")) return true;
    for (let node = element; node; node = parentOf(node)) {
      if (node.getAttribute("aria-disabled") === "true") return true;
    }
    return false;
  }

  const isHiddenForPeople = (element) => {
    for (let node = element; node; node = parentOf(node)) {
      if (node.getAttribute("aria-hidden") === "true") return true;
    }
    return !element.checkVisibility({ visibilityProperty: true }) && getComputedStyle(element).display !== "contents";
  };

  // ---- roles and accessible names --------------------------------------------------------

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

  function roleOf(element) {
    const explicit = element.getAttribute("role")?.trim().split(/\s+/)[0];
    if (explicit) return explicit;
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

  function idsIn(element, attribute) {
    const root = element.getRootNode();
    const ids = element.getAttribute(attribute)?.split(/\s+/).filter(Boolean) ?? [];
    return ids.map((id) => root.getElementById?.(id)).filter(Boolean);
  }

  /** The text that content contributes to a name: hidden parts don't count, images do. */
  function contentName(node) {
    if (node.nodeType === Node.TEXT_NODE) return node.data;
    if (node.nodeType !== Node.ELEMENT_NODE) return "";
    if (/^(script|style|noscript|template)$/.test(node.localName)) return "";
    if (node.getAttribute("aria-hidden") === "true") return "";
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden") return "";
    const label = node.getAttribute("aria-label")?.trim();
    if (label) return label;
    if (node.localName === "img") return node.alt;
    if (node.localName === "input") return /^(button|submit|reset)$/.test(node.type) ? node.value : "";
    const children = node.localName === "slot" ? node.assignedNodes({ flatten: true }) : (node.shadowRoot ?? node).childNodes;
    const inline = style.display.startsWith("inline");
    let text = "";
    for (const child of children.length || node.localName !== "slot" ? children : node.childNodes) text += contentName(child);
    return inline ? text : ` ${text} `;
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
    if (element.labels?.length) {
      const text = squeeze([...element.labels].map(contentName).join(" "));
      if (text) return text;
    }
    if (tag === "img" || tag === "area" || (tag === "input" && element.type === "image")) {
      if (element.alt) return squeeze(element.alt);
    }
    const first = { fieldset: "legend", table: "caption", figure: "figcaption", svg: "title" }[tag];
    const child = first && [...element.children].find((e) => e.localName === first);
    if (child) return squeeze(child.textContent);
    const role = element.getAttribute("role") || (/^(form|section)$/.test(tag) ? null : roleOf(element));
    if (namedByContent.has(role)) {
      const text = squeeze(contentName(element));
      if (text) return text;
    }
    return squeeze(element.title || element.getAttribute("placeholder") || "");
  }

  // ---- looking up ------------------------------------------------------------------------

  const unread = "script, style, noscript, template, head, title";

  /** The innermost elements below a root that have a text. */
  function withText(root, wanted, exact, found) {
    const needle = squeeze(wanted).toLowerCase();
    const visit = (element) => {
      if (element.matches(unread)) return false;
      if (!squeeze(element.textContent).toLowerCase().includes(needle)) return false;
      let inner = false;
      for (const child of element.children) inner = visit(child) || inner;
      if (inner) return true;
      if (!fits(element.textContent, wanted, exact)) {
        // With `exact`, text that stands directly in an element beside other elements counts.
        const own = [...element.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE);
        if (!own.some((n) => n.data.trim() && fits(n.data, wanted, exact))) return false;
      }
      found.add(element);
      return true;
    };
    for (const child of root.children) visit(child);
    for (const button of root.querySelectorAll("input[type=submit], input[type=button], input[type=reset]")) {
      if (fits(button.value, wanted, exact)) found.add(button);
    }
  }

  function labelsOf(element) {
    const referenced = idsIn(element, "aria-labelledby").map((e) => e.textContent);
    const labels = [...(element.labels ?? [])].map((label) => label.textContent);
    return [...referenced, ...labels, element.getAttribute("aria-label") ?? ""].filter(Boolean);
  }

  const lookUps = {
    css(selector, roots, found) {
      try {
        for (const root of roots) for (const element of root.querySelectorAll(selector)) found.add(element);
      } catch (error) {
        throw badSelector(selector, error.message);
      }
    },
    xpath(expression, [root], found) {
      try {
        const context = root === document ? document : root;
        const relative = context !== document && expression.startsWith("/") ? `.${expression}` : expression;
        const result = document.evaluate(relative, context, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE);
        for (let i = 0; i < result.snapshotLength; i++) {
          const node = result.snapshotItem(i);
          if (node.nodeType === Node.ELEMENT_NODE) found.add(node);
        }
      } catch (error) {
        throw badSelector(expression, error.message);
      }
    },
    testId(id, roots, found) {
      lookUps.css(`[data-testid="${CSS.escape(id)}"]`, roots, found);
    },
    placeholder(text, roots, found, exact) {
      for (const root of roots) {
        for (const element of root.querySelectorAll("[placeholder]")) {
          if (fits(element.getAttribute("placeholder"), text, exact)) found.add(element);
        }
      }
    },
    label(text, roots, found, exact) {
      const labelled = "input:not([type=hidden]), textarea, select, button, meter, output, progress, [aria-label], [aria-labelledby]";
      for (const root of roots) {
        for (const element of root.querySelectorAll(labelled)) {
          if (labelsOf(element).some((label) => fits(label, text, exact))) found.add(element);
        }
      }
    },
    text(text, roots, found, exact) {
      for (const root of roots) withText(root, text, exact, found);
    },
    role({ role, name }, roots, found, exact) {
      const candidates = candidatesOf(role);
      for (const root of roots) {
        for (const element of root.querySelectorAll(candidates)) {
          if (roleOf(element) !== role || isHiddenForPeople(element)) continue;
          if (name === null || fits(nameOf(element), name, exact)) found.add(element);
        }
      }
    },
  };

  /** All elements that a locator names below a root, in document order. */
  function all(locator, root = document) {
    const outer = locator.within ? all(locator.within, root) : [root];
    let elements;
    if (locator.by.anyOf) {
      elements = [];
      for (const alternative of locator.by.anyOf) {
        elements = outer.flatMap((element) => all(alternative, element));
        if (elements.length) break;
      }
    } else {
      const [[kind, wanted]] = Object.entries(locator.by);
      const found = new Set();
      let inOrder = outer.length === 1;
      for (const element of outer) {
        const roots = rootsOf(element);
        inOrder &&= roots.length === 1 && kind !== "text";
        lookUps[kind](wanted, roots, found, locator.exact);
      }
      elements = inOrder ? [...found] : byOrder(found);
    }
    if (locator.nth === null) return elements;
    return elements.slice(locator.nth, locator.nth + 1);
  }

  // ---- waiting ---------------------------------------------------------------------------

  const frame = () =>
    new Promise((resolve) => {
      // A hidden page has no animation frames.
      const timer = setTimeout(resolve, 100);
      requestAnimationFrame(() => {
        clearTimeout(timer);
        resolve();
      });
    });

  /** Ends at the next change of the document that an observer can see, or after a while. */
  function change(ms) {
    return new Promise((resolve) => {
      const events = ["input", "change", "load", "transitionend", "animationend", "scroll", "popstate", "hashchange"];
      const done = () => {
        observer.disconnect();
        clearTimeout(timer);
        for (const name of events) removeEventListener(name, done, true);
        resolve();
      };
      const observer = new MutationObserver(done);
      const options = { subtree: true, childList: true, attributes: true, characterData: true };
      for (const root of rootsOf(document)) observer.observe(root, options);
      for (const name of events) addEventListener(name, done, true);
      // What changes without a mutation (a style sheet's effect, a timer) is found at this pace.
      const timer = setTimeout(done, Math.min(ms, 100));
    });
  }

  /** Looks at once and after each change, until it gets something or the time is over. */
  async function until(ms, look) {
    const end = performance.now() + ms;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      const left = end - performance.now();
      if (left <= 0) return undefined;
      const since = performance.now();
      await change(left);
      // A page that changes all the time is looked at 60 times a second, not more.
      if (performance.now() - since < 4) await frame();
    }
  }

  /** Where the page is, for messages: without query and fragment, in which tokens travel. */
  const place = () =>
    location.protocol.startsWith("http")
      ? `${location.origin}${location.pathname}${location.search && "?…"}${location.hash && "#…"}`
      : shorten(location.href, 60);

  const none = (locator) => {
    const matches = locator.nth === null ? 0 : all({ ...locator, nth: null }).length;
    const others = matches ? `only ${matches} match without the index; ` : "";
    return { none: `${others}the page is ${place()} (${shorten(document.title, 60)})` };
  };

  const many = (elements) => ({ many: { count: elements.length, candidates: elements.slice(0, 5).map(describe) } });

  /** Waits for exactly one element and what `use` makes of it. */
  async function one(locator, ms, use) {
    const found = await until(ms, () => {
      const elements = all(locator);
      if (elements.length > 1) return many(elements);
      if (elements.length === 1) return { one: use(elements[0]) ?? null };
    });
    return found ?? none(locator);
  }

  function holds(condition) {
    const [[kind, wanted]] = Object.entries(condition);
    switch (kind) {
      case "visible":
        return all(wanted).some(isVisible);
      case "hidden":
        return !all(wanted).some(isVisible);
      case "hasText": {
        const outer = wanted.within ? all(wanted.within) : [document];
        const locator = { by: { text: wanted.text }, exact: false, nth: null, within: null };
        return outer.some((root) => all(locator, root).some(isVisible) || (root !== document && isVisible(root) && fits(root.innerText, wanted.text, false)));
      }
      case "urlMatches": {
        const parts = wanted.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        return new RegExp(`^${parts.join(".*")}$`, "s").test(location.href);
      }
      case "any":
        return wanted.some(holds);
      case "all":
        return wanted.every(holds);
      default:
        throw new Error(`a condition that the page can't decide: ${kind}`);
    }
  }

  /** What was there instead of what a condition wants. */
  function instead(condition) {
    const [[kind, wanted]] = Object.entries(condition);
    switch (kind) {
      case "visible": {
        const elements = all(wanted);
        if (!elements.length) return "no element matches";
        return `${elements.length} match, none visible: ${describe(elements[0])}: ${whyHidden(elements[0])}`;
      }
      case "hidden":
        return `still visible: ${describe(all(wanted).find(isVisible) ?? document.documentElement)}`;
      case "hasText":
        return wanted.within && !all(wanted.within).length ? "no element matches where it should be" : "it is not there";
      case "urlMatches":
        return `the URL is ${place()}`;
      default:
        return wanted.map(instead).join("; ");
    }
  }

  // ---- acting ----------------------------------------------------------------------------

  function hitAt(x, y) {
    let hit = document.elementFromPoint(x, y);
    while (hit?.shadowRoot) {
      const inner = hit.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === hit) break;
      hit = inner;
    }
    return hit;
  }

  /** Whether a click on `hit` is a click on `element`. */
  function reaches(hit, element) {
    if (!hit) return false;
    if (contains(element, hit)) return true;
    for (let node = hit; node; node = parentOf(node)) {
      if (node === element || (node.localName === "label" && node.control === element)) return true;
    }
    return false;
  }

  /** The middle of the first part of an element that can be seen. */
  function pointOf(element) {
    for (const box of [...element.getClientRects(), boxOf(element)]) {
      const left = Math.max(0, box.left);
      const top = Math.max(0, box.top);
      const right = Math.min(innerWidth, box.right);
      const bottom = Math.min(innerHeight, box.bottom);
      if (right - left >= 1 && bottom - top >= 1) return { x: (left + right) / 2, y: (top + bottom) / 2 };
    }
    return null;
  }

  const sameBox = (a, b) => a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;

  /** Places to scroll an element to, one after the other, when something sticky covers it. */
  const alignments = ["center", "end", "start", "nearest"];

  function editable(element) {
    if (element.isContentEditable) return null;
    if (/^(input|textarea)$/.test(element.localName)) {
      if (element.localName === "input" && /^(button|submit|reset|image|checkbox|radio|file|hidden)$/.test(element.type)) {
        return `it is an input of type ${element.type}, which takes no text`;
      }
      return element.readOnly ? "it is read-only" : null;
    }
    return `${describe(element)} takes no text`;
  }

  let guard = null;

  /** Lets only events through that hit the element, until the action is over. */
  function watch(element) {
    guard?.stop();
    const names = ["pointerdown", "mousedown", "pointerup", "mouseup", "click", "dblclick", "auxclick"];
    let missed = null;
    let decided = false;
    const see = (event) => {
      if (!event.isTrusted) return;
      if (!decided) {
        decided = true;
        const hit = event.composedPath()[0];
        const path = event.composedPath();
        if (!path.includes(element) && !reaches(hit instanceof Element ? hit : null, element)) {
          missed = hit instanceof Element ? describe(hit) : "something else";
        }
      }
      if (missed) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    };
    for (const name of names) addEventListener(name, see, { capture: true, passive: false });
    guard = {
      stop() {
        for (const name of names) removeEventListener(name, see, true);
        guard = null;
        return missed;
      },
    };
  }

  /**
   * Waits until one element is visible, stable, enabled and, for the mouse, receives events at its
   * point; scrolls it into view. `kind` is mouse, hover, focus or fill.
   */
  async function prepare(locator, kind, ms) {
    let reason = null;
    let round = 0;
    let scrolled = false;
    const found = await until(ms, async () => {
      const elements = all(locator);
      if (elements.length > 1) return many(elements);
      const [element] = elements;
      if (!element) {
        reason = null;
        return undefined;
      }
      reason = null;
      const fail = (why) => {
        reason = why;
      };
      if (!isVisible(element)) return fail(`it is not visible: ${whyHidden(element)}`);
      if (kind !== "hover" && isDisabled(element)) return fail("it is disabled");
      if (kind === "fill") {
        const why = editable(element);
        if (why) return fail(why);
      }
      if (kind === "focus" || kind === "fill") {
        element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
        return focusOn(element, kind) ? { one: { x: 0, y: 0, isChosen: setsValue(element) } } : fail("it does not take the focus");
      }
      if (!pointOf(element) || scrolled) {
        element.scrollIntoView({ block: alignments[round++ % alignments.length], inline: "nearest", behavior: "instant" });
        scrolled = false;
      }
      const before = boxOf(element);
      await frame();
      if (!element.isConnected) return fail("it is being replaced");
      if (!sameBox(before, boxOf(element))) return fail("it is moving");
      const point = pointOf(element);
      if (!point) return fail("it is outside of the visible page");
      const hit = hitAt(point.x, point.y);
      if (!reaches(hit, element)) {
        scrolled = true;
        return fail(`${hit ? describe(hit) : "something"} covers it and would get the click`);
      }
      if (kind === "mouse") watch(element);
      return { one: { ...point, isChosen: false } };
    });
    if (found) return found;
    return reason ? { unready: reason } : none(locator);
  }

  function focusOn(element, kind) {
    element.focus();
    if (kind === "fill") {
      if (element.isContentEditable) {
        getSelection().selectAllChildren(element);
      } else {
        element.select?.();
      }
    }
    const active = focused();
    return active === element || contains(element, active);
  }

  /** Kinds of input that have no text to type: their value is set, with the events of a choice. */
  const chosen = /^(date|datetime-local|time|month|week|color|range)$/;

  function setsValue(element) {
    return element.localName === "input" && chosen.test(element.type);
  }

  function focused() {
    let active = document.activeElement;
    while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
    return active;
  }

  // ---- reading ---------------------------------------------------------------------------

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

  const masks = [];

  return {
    held: null,

    url: () => location.href,
    title: () => document.title,
    html: () => (document.doctype ? `<!DOCTYPE ${document.doctype.name}>\n` : "") + document.documentElement.outerHTML,
    count: (locator) => all(locator).length,
    text: (locator, ms) => one(locator, ms, (element) => read(element, "text")),
    attribute: (locator, name, ms) => one(locator, ms, (element) => element.getAttribute(name)),
    isEnabled: (locator, ms) => one(locator, ms, (element) => !isDisabled(element)),
    prepare,

    /** Keeps one element for a call that needs the element itself. */
    hold(locator, ms) {
      return one(locator, ms, (element) => {
        this.held = element;
      });
    },

    /** Whether the condition came to hold in time, and what was there if not. */
    async wait(condition, ms) {
      const held = await until(ms, () => holds(condition) || undefined);
      return { holds: held === true, found: held ? "" : instead(condition) };
    },

    isChecked: (locator, ms) => one(locator, ms, (element) => element.checked ?? element.getAttribute("aria-checked") === "true"),

    /** Chooses an option by its label or its value, once the select can be used and has it. */
    async select(locator, wanted, ms) {
      let reason = null;
      const found = await until(ms, () => {
        const elements = all(locator);
        if (elements.length > 1) return many(elements);
        const [element] = elements;
        reason = null;
        if (!element) return;
        if (element.localName !== "select") reason = `${describe(element)} is not a select`;
        else if (!isVisible(element)) reason = `it is not visible: ${whyHidden(element)}`;
        else if (isDisabled(element)) reason = "it is disabled";
        if (reason) return;
        const options = [...element.options];
        const option = options.find((o) => squeeze(o.label) === squeeze(wanted)) ?? options.find((o) => o.value === wanted);
        if (!option || option.disabled) {
          reason = option ? "the option is disabled" : `it has only the options ${shorten(options.map((o) => squeeze(o.label)).join(", "), 200)}`;
          return;
        }
        element.focus();
        option.selected = true;
        element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
        element.dispatchEvent(new Event("change", { bubbles: true }));
        return { one: null };
      });
      return found ?? (reason ? { unready: reason } : none(locator));
    },

    /** Sets the value of the focused field, one that can't be typed into; says what is wrong. */
    choose(value) {
      const element = focused();
      element.value = value;
      if (element.value !== value) return `an input of type ${element.type} does not take this value`;
      element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      element.dispatchEvent(new Event("change", { bubbles: true }));
      return null;
    },

    /** After an action: lets the page's handlers and what they scheduled run, then says who got
     * the events if it was not the element. */
    async finish() {
      await new Promise((resolve) => setTimeout(resolve));
      return guard?.stop() ?? null;
    },

    /** Where a point inside of an iframe lies in this document, and what covers it there. */
    place(element, x, y) {
      const box = element.getBoundingClientRect();
      const style = getComputedStyle(element);
      const px = x + box.left + element.clientLeft + parseFloat(style.paddingLeft);
      const py = y + box.top + element.clientTop + parseFloat(style.paddingTop);
      const hit = hitAt(px, py);
      return { x: px, y: py, coveredBy: hit === element ? null : hit ? describe(hit) : "the edge of the page" };
    },

    readRows(rows, fields) {
      const isFlat = rootsOf(document).length === 1;
      const readers = fields.map(({ locator, read: what }) => [finder(locator, isFlat), what]);
      return all(rows).map((row) => readers.map(([find, what]) => read(find(row), what)));
    },

    /** The box of one element in coordinates of the whole document, for a picture of it. */
    async box(locator, ms) {
      const found = await one(locator, ms, (element) => {
        element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
        const { x, y, width, height } = element.getBoundingClientRect();
        return { x: x + scrollX, y: y + scrollY, width, height };
      });
      return found;
    },

    /** Lays opaque boxes over elements, until `unmask`. */
    mask(locators) {
      for (const locator of locators) {
        for (const element of all(locator)) {
          const { x, y, width, height } = element.getBoundingClientRect();
          const mask = document.createElement("div");
          mask.style.cssText = `all: initial; position: absolute; left: ${x + scrollX}px; top: ${y + scrollY}px; width: ${width}px; height: ${height}px; background: #f0f; z-index: 2147483647;`;
          document.documentElement.append(mask);
          masks.push(mask);
        }
      }
    },

    unmask() {
      for (const mask of masks.splice(0)) mask.remove();
    },
  };
})();

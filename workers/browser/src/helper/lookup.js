// Looking up what a locator names.

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
  const labels = labelsFor(element).map((label) => label.textContent);
  return [...referenced, ...labels, element.getAttribute("aria-label") ?? ""].filter(Boolean);
}

/**
 * The alternatives of a selector, each cut at its descendant and child combinators: the combinator before each part, and
 * the part, which keeps its `+` and `~`.
 */
function cut(selector) {
  const alternatives = [[]];
  let [text, combinator, depth, quote] = ["", " ", 0, null];
  const end = (next) => {
    if (text) alternatives.at(-1).push({ combinator, text });
    [text, combinator] = ["", next];
  };
  for (let i = 0; i < selector.length; i++) {
    const character = selector[i];
    const isPlain = !quote && depth === 0;
    const after = selector.slice(i + 1).trimStart()[0] ?? "";
    if (character === "\\") text += character + (selector[++i] ?? "");
    else if (quote) [text, quote] = [text + character, character === quote ? null : quote];
    else if (character === '"' || character === "'") [text, quote] = [text + character, character];
    else if (/[([]/.test(character)) [text, depth] = [text + character, depth + 1];
    else if (/[)\]]/.test(character)) [text, depth] = [text + character, depth - 1];
    else if (!isPlain || !/[\s,>]/.test(character)) text += character;
    else if (character === ">") end(">");
    else if (character === ",") {
      end(" ");
      alternatives.push([]);
    } else if (/[+~]/.test(after) || /[+~]\s*$/.test(text)) text += character;
    else if (text && !/[,>]/.test(after)) end(" ");
  }
  end(" ");
  return alternatives;
}

/** Whether what is above an element, out of its shadow roots too, is what the parts before the last one want. */
function isBelow(element, parts) {
  const { combinator } = parts.at(-1);
  const before = parts.slice(0, -1);
  if (!before.length) return true;
  for (let node = above(element); node; node = above(node)) {
    if (node.matches(before.at(-1).text) && isBelow(node, before)) return true;
    if (combinator === ">") return false;
  }
  return false;
}

const lookUps = {
  css(selector, roots, found) {
    try {
      for (const root of roots) for (const element of root.querySelectorAll(selector)) found.add(element);
      const isFlat = roots.length === 1 && roots[0].getRootNode() === document;
      if (isFlat || selector.includes(":scope")) return;
      // A shadow root's elements are below its host, for people.
      for (const parts of cut(selector).filter(({ length }) => length > 1)) {
        for (const root of roots) {
          for (const element of root.querySelectorAll(parts.at(-1).text)) if (isBelow(element, parts)) found.add(element);
        }
      }
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

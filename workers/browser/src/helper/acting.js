// Whether an element can be acted on, and where.

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

/** Where to point at an element: at a place in it, or at the middle of what can be seen of it. */
function pointOf(element, position) {
  if (position) {
    const box = boxOf(element);
    const point = { x: box.left + position[0], y: box.top + position[1] };
    const isInView = point.x >= 0 && point.y >= 0 && point.x < innerWidth && point.y < innerHeight;
    return isInView ? point : null;
  }
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
  if (element.getAttribute("aria-readonly") === "true") return "it is read-only";
  if (element.isContentEditable || element.localName === "select") return null;
  if (/^(input|textarea)$/.test(element.localName)) {
    if (element.localName === "input" && /^(button|submit|reset|image|checkbox|radio|file|hidden)$/.test(element.type)) {
      return `it is an input of type ${element.type}, which takes no text`;
    }
    return element.readOnly ? "it is read-only" : null;
  }
  return `${describe(element)} takes no text`;
}

/** Of the action under way: the element that is to get the events; whether they have come; who else got them. */
let guard = null;

const guarded = ["pointerdown", "mousedown", "pointerup", "mouseup", "click", "dblclick", "auxclick"];

/** Lets only events through that hit the element, while an action is under way. */
function see(event) {
  if (!guard || !event.isTrusted) return;
  if (!guard.hasCome) {
    guard.hasCome = true;
    const path = event.composedPath();
    const hit = path[0] instanceof Element ? path[0] : null;
    const isIts = path.includes(guard.element) || reaches(hit, guard.element);
    guard.missed = isIts ? null : hit ? describe(hit) : "something else";
  }
  if (guard.missed) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

/** For which document events are seen, and how: a popup may keep its first window, where what was added before is never called. */
let seeing = { document: null, see: null };

/** Before the page's own listeners, which may stop events; again before each action, since `document.open` removes all. */
function listen() {
  if (seeing.document !== document) seeing = { document, see: (event) => see(event) };
  for (const name of guarded) addEventListener(name, seeing.see, { capture: true, passive: false });
}

/** What shows another document gets its own events, if any, and nobody here sees them. */
const embedding = /^(iframe|frame|object|embed|fencedframe)$/;

/**
 * Looks at the events that follow, which are to hit this part of the element. Until they come they are lost: Chromium may
 * lose those for a document in a frame that was not drawn yet, and say that they were handled.
 */
function watch(element, hit) {
  listen();
  guard = { element, hasCome: false, missed: embedding.test(hit.localName) ? null : "no element of its document" };
}

/** Ends the watch; gives who got the events instead. */
function stopWatching() {
  const missed = guard?.missed ?? null;
  guard = null;
  return missed;
}

/** What has kept an action waiting: each reason once, in order, with how long it lasted. */
function reasons() {
  const seen = [];
  return {
    add(why) {
      const now = performance.now();
      const last = seen.at(-1);
      if (last?.why === why) last.until = now;
      else seen.push({ why, since: now, until: now });
    },
    /** What came before the last reason. */
    before() {
      const steps = seen.slice(0, -1).slice(-3).map(({ why, since, until }) => `${why} (${Math.round(until - since)} ms)`);
      return steps.length ? `; before that: ${steps.join(", then ")}` : "";
    },
    last: () => seen.at(-1)?.why ?? null,
  };
}

/** A box or a radio button that is styled away is clicked by its label, as people do. */
const standIn = (element) => (isVisible(element) ? null : labelsFor(element).find(isVisible)) ?? element;

const absent = "no element matched";

/** The animations in the document and in the shadow roots that an element is shown in: each root tells only its own. */
function animationsAround(element) {
  const roots = new Set();
  for (let node = element; node; node = parentOf(node)) roots.add(node.getRootNode());
  return [...roots].flatMap((root) => root.getAnimations?.() ?? []);
}

/** Whether no animation can have gone on since then: frames may be of the same moment, and in its first one none has begun. */
function animationsStand(element, since) {
  const animations = animationsAround(element);
  return animations.length > 0 && (document.timeline.currentTime - since < 1 || animations.some((it) => it.pending));
}

/** Events for a document in a frame may be lost before it was drawn for the first time, a few frames after it began. */
let framesToCome = window === top ? 0 : 3;
const count = () => --framesToCome > 0 && requestAnimationFrame(count);
if (framesToCome) requestAnimationFrame(count);

/**
 * Waits until one element is visible and enabled, then, for `focus` and `fill`, takes the focus,
 * or else, for `mouse`, `hover` and `check`, is still and receives events at its point; scrolls it
 * into view.
 */
async function prepare(locator, { kind, position, hidden, conceals }, ms) {
  const history = reasons();
  let round = Math.max(0, hidden - 1);
  let scrolled = hidden > 0;
  const found = await until(ms, async (end) => {
    const elements = all(locator);
    if (elements.length > 1) return many(elements);
    let [element] = elements;
    const fail = (why) => history.add(why);
    if (!element) return fail(absent);
    if (kind === "check") element = standIn(element);
    if (!isVisible(element)) return fail(`it is not visible: ${whyHidden(element)}`);
    if (kind !== "hover" && isDisabled(elements[0])) return fail("it is disabled");
    if (kind === "fill") {
      const why = editable(element);
      if (why) return fail(why);
    }
    if (kind === "focus" || kind === "fill") {
      element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
      if (!focusOn(element, kind)) return fail("it does not take the focus");
      if (conceals || kind === "fill") conceal(element, conceals);
      return { one: { x: 0, y: 0, takes: takes(element) } };
    }
    if (!pointOf(element, position) || scrolled) {
      element.scrollIntoView({ block: alignments[round++ % alignments.length], inline: "nearest", behavior: "instant" });
      scrolled = false;
    }
    const before = boxOf(element);
    const drawnAt = document.timeline.currentTime;
    let isDrawn = await nextFrame(end);
    for (let left = 5; isDrawn && left > 0 && animationsStand(element, drawnAt); left--) isDrawn = await nextFrame(end);
    while (isDrawn && framesToCome > 0) isDrawn = await nextFrame(end);
    if (!element.isConnected) return fail("it is being replaced");
    if (!sameBox(before, boxOf(element))) return fail("it is moving");
    const point = pointOf(element, position);
    if (!point) return fail(position ? "the point in it is outside of the visible page" : "it is outside of the visible page");
    const hit = hitAt(point.x, point.y);
    if (!reaches(hit, element)) {
      scrolled = true;
      if (getComputedStyle(element).pointerEvents === "none") return fail("it has pointer-events: none, and clicks go through it");
      return fail(`${hit ? describe(hit) : "something"} covers it and would get the click`);
    }
    // Nobody waits for this look any more: a watch would meet the events of what is done next.
    if (performance.now() >= end + LATE) return fail("nothing was drawn in time");
    if (kind !== "hover") watch(element, hit);
    return { one: { ...point, takes: "nothing" } };
  });
  if (found) return found;
  const last = history.last();
  if (last !== null && last !== absent) return { unready: `${last}${history.before()}` };
  const { none: page } = none(locator);
  return { none: `${page}${history.before()}` };
}

function focusOn(element, kind) {
  element.focus();
  if (kind === "fill") {
    if (element.isContentEditable) {
      getSelection().selectAllChildren(element);
    } else {
      element.select?.();
    }
  } else {
    caretToEnd(element);
  }
  const active = focused();
  return active === element || contains(element, active);
}

/** Kinds of input that have no text to type: their value is set, with the events of a choice. */
const chosen = /^(date|datetime-local|time|month|week|color|range)$/;

/** How a field gets its value: by text, by a number as text, or by choosing. */
function takes(element) {
  if (element.localName === "select") return "choice";
  if (element.localName !== "input") return "text";
  if (chosen.test(element.type)) return "choice";
  return element.type === "number" ? "number" : "text";
}

/** Typing goes on where the text ends. */
function caretToEnd(element) {
  if (element.isContentEditable) {
    const selection = getSelection();
    selection.selectAllChildren(element);
    selection.collapseToEnd();
  } else if (element.selectionEnd !== undefined && element.selectionEnd !== null) {
    element.setSelectionRange(element.value.length, element.value.length);
  } else if (element.localName === "input") {
    // An e-mail address or a number tells no positions.
    getSelection().modify("move", "forward", "documentboundary");
  }
}

function focused() {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active;
}

/** What scrolls an element's content: itself, or what is around it, or the page. */
function scrollerOf(element) {
  for (let node = element; node && node !== document.body; node = parentOf(node)) {
    const style = getComputedStyle(node);
    const overflows = node.scrollHeight > node.clientHeight || node.scrollWidth > node.clientWidth;
    if (overflows && /auto|scroll|overlay|hidden/.test(style.overflowX + style.overflowY)) return node;
  }
  return document.scrollingElement ?? document.documentElement;
}

let drag = null;

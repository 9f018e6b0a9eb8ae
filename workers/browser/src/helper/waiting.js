// Waiting for changes of the document.

/** Timers don't run in a document whose scripts are switched off, such as a sandboxed frame's; animation frames do. */
let hasTimers = false;
setTimeout(() => (hasTimers = true));

/** Calls back after a while, and gives what `clearTimeout` takes. */
function later(done, ms) {
  if (!hasTimers) {
    const end = performance.now() + ms;
    const look = () => (performance.now() < end ? requestAnimationFrame(look) : done());
    requestAnimationFrame(look);
  }
  return setTimeout(done, ms);
}

/** Ends with the next animation frame, or after a while without one; says whether it came. */
const frame = (ms = 100) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });

/** How long after its end a look may still wait for a frame: the client waits for the answer a little longer than that. */
const LATE = 500;

/**
 * The same for looks that are to be a frame apart: between two frames nothing moves. On a busy machine the next one may
 * take its time; a page that nobody sees has none, nor has a frame out of sight.
 */
const nextFrame = (end) =>
  frame(Math.min(window === top && document.visibilityState === "visible" ? 5000 : 500, end + LATE - performance.now()));

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
    const timer = later(done, Math.min(ms, 100));
  });
}

/** Looks at once and after each change, until it gets something or the time is over; a look is told when that is. */
async function until(ms, look) {
  const end = performance.now() + ms;
  for (;;) {
    const found = await look(end);
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

/** What may help somebody whose locator matches nothing. */
function hints(locator) {
  const found = [];
  const count = (other) => all({ ...locator, ...other }).length;
  const matches = (n) => (n === 1 ? "1 matches" : `${n} match`);
  if (locator.nth !== null && count({ nth: null })) found.push(`only ${matches(count({ nth: null }))} without the index`);
  if (locator.exact && count({ exact: false })) found.push(`${matches(count({ exact: false }))} if not exactly`);
  if (locator.within && !all(locator.within).length) found.push("what it should be within is not there");
  else if (locator.within && count({ within: null })) found.push(`${matches(count({ within: null }))} elsewhere`);
  const { role } = locator.by;
  if (role && role.name !== null) {
    const others = all({ ...locator, nth: null, by: { role: { role: role.role, name: null } } });
    // Names are not computed here: a typed value may be part of one.
    const names = others.slice(0, 5).map((e) => `"${shorten(squeeze(e.getAttribute("aria-label") || e.textContent || e.title), 30)}"`);
    if (names.length) found.push(`${others.length} with this role: ${names.join(", ")}`);
  }
  if (locator.by.xpath && rootsOf(document).length > 1) found.push("XPath does not look into shadow roots, which are here");
  const frames = document.querySelectorAll("iframe, frame").length;
  if (frames) found.push(`${frames === 1 ? "1 frame" : `${frames} frames`} not looked into`);
  return found;
}

/** Nothing matches: what is there instead. */
const none = (locator) => ({ none: [`the page is ${place()} (${shorten(document.title, 60)})`, ...hints(locator)].join("; ") });

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

/** Whether a regular expression of the caller's matches. */
function matches(source, text) {
  try {
    return new RegExp(source, "s").test(text);
  } catch (error) {
    throw badSelector(`/${source}/`, error.message);
  }
}

/** States that an element is in or is not. */
const states = {
  enabled: (element) => !isDisabled(element),
  disabled: isDisabled,
  editable: (element) => !isDisabled(element) && editable(element) === null,
  checked: isChecked,
  unchecked: (element) => !isChecked(element),
};

function holds(condition) {
  const [[kind, wanted]] = Object.entries(condition);
  switch (kind) {
    case "visible":
      return all(wanted).some(isVisible);
    case "hidden":
      return !all(wanted).some(isVisible);
    case "attached":
      return all(wanted).length > 0;
    case "detached":
      return all(wanted).length === 0;
    case "enabled":
    case "disabled":
    case "editable":
    case "checked":
    case "unchecked":
      return all(wanted).some(states[kind]);
    case "hasText": {
      const outer = wanted.within ? all(wanted.within) : [document];
      const locator = { by: { text: wanted.text }, exact: false, nth: null, within: null };
      return outer.some((root) => all(locator, root).some(isVisible) || (root !== document && isVisible(root) && fits(root.innerText, wanted.text, false)));
    }
    case "urlMatches": {
      const parts = wanted.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      return new RegExp(`^${parts.join(".*")}$`, "s").test(location.href);
    }
    case "url":
      return matches(wanted, location.href);
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
    case "attached":
      return "no element matches";
    case "detached":
      return `still there: ${describe(all(wanted)[0] ?? document.documentElement)}`;
    case "enabled":
    case "disabled":
    case "editable":
    case "checked":
    case "unchecked": {
      const [element] = all(wanted);
      if (!element) return "no element matches";
      return `${describe(element)} ${kind === "editable" ? (editable(element) ?? "is disabled") : `is not ${kind}`}`;
    }
    case "url":
    case "urlMatches":
      return `the URL is ${place()}`;
    default:
      return wanted.map(instead).join("; ");
  }
}

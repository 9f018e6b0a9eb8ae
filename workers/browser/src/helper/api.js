// What the client asks for by name. Everything above is inside of one function with this.

return {
  held: null,

  listen,

  url: () => location.href,
  title: () => document.title,
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

  isChecked: (locator, ms) => one(locator, ms, isChecked),

  /**
   * Chooses options, in place of those that are chosen, once the select can be used and has them.
   * Each is named by its label or else its value, or by one of `label`, `value` and `index`.
   */
  async select(locator, wanted, ms) {
    const history = reasons();
    const found = await until(ms, () => {
      const elements = all(locator);
      if (elements.length > 1) return many(elements);
      const [element] = elements;
      if (!element) return history.add(absent);
      if (element.localName !== "select") return history.add(`${describe(element)} is not a select`);
      if (!isVisible(element)) return history.add(`it is not visible: ${whyHidden(element)}`);
      if (isDisabled(element)) return history.add("it is disabled");
      if (wanted.length > 1 && !element.multiple) return history.add("only one of its options can be chosen");
      const options = [...element.options];
      const byLabel = (label) => options.find((o) => squeeze(o.label) === squeeze(label));
      const byValue = (value) => options.find((o) => o.value === value);
      const picked = wanted.map((choice) => {
        if ("label" in choice) return byLabel(choice.label);
        if ("value" in choice) return byValue(choice.value);
        if ("index" in choice) return options[choice.index];
        return byLabel(choice.any) ?? byValue(choice.any);
      });
      if (picked.includes(undefined)) {
        return history.add(`it has only the options ${shorten(options.map((o) => squeeze(o.label)).join(", "), 200)}`);
      }
      if (picked.some((o) => o.disabled || o.closest("optgroup")?.disabled)) return history.add("the option is disabled");
      element.focus();
      if (element.multiple) for (const option of options) option.selected = false;
      for (const option of picked) option.selected = true;
      element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      element.dispatchEvent(new Event("change", { bubbles: true }));
      return { one: [...element.selectedOptions].map((o) => o.value) };
    });
    if (found) return found;
    const last = history.last();
    return last === null || last === absent ? none(locator) : { unready: `${last}${history.before()}` };
  },

  /** Sets the value of the focused field, one that can't be typed into; says what is wrong. A list
   * takes the value or the label of an option. */
  choose(value) {
    const element = focused();
    const before = element.value;
    if (element.localName === "select") {
      const options = [...element.options].filter((o) => !o.disabled);
      const option = options.find((o) => o.value === value) ?? options.find((o) => squeeze(o.label) === squeeze(value));
      if (!option) return `it has only the options ${shorten(options.map((o) => squeeze(o.label)).join(", "), 200)}`;
      value = option.value;
    }
    element.value = value;
    if (element.value !== value) {
      element.value = before;
      return `an input of type ${element.type} does not take this value`;
    }
    element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
    return null;
  },

  /** After an action: lets the page's handlers and what they scheduled run, then says who got
   * the events if it was not the element. */
  async finish() {
    await new Promise((resolve) => later(resolve, 0));
    return stopWatching();
  },

  /** Where a point inside of an iframe lies in this document, and what covers it there. */
  place(element, x, y) {
    const origin = this.origin(element);
    const [px, py] = [origin.x + x * origin.scaleX, origin.y + y * origin.scaleY];
    const hit = hitAt(px, py);
    return { x: px, y: py, coveredBy: hit === element ? null : hit ? describe(hit) : "the edge of the page" };
  },

  /** Where a frame's own document begins, in this one, how much larger it is shown here, and how far this one is
   * scrolled. */
  origin(element) {
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    const scaleX = box.width / element.offsetWidth || 1;
    const scaleY = box.height / element.offsetHeight || 1;
    const x = box.left + (element.clientLeft + parseFloat(style.paddingLeft)) * scaleX;
    const y = box.top + (element.clientTop + parseFloat(style.paddingTop)) * scaleY;
    return { x, y, scaleX, scaleY, scrollX, scrollY };
  },

  /**
   * Keeps the file input that an element is, or is the label of. One that is neither opens its
   * file chooser when it is clicked.
   */
  holdFileInput(locator, ms) {
    return one(locator, ms, (element) => {
      const input = element.localName === "label" ? (element.control ?? element) : element;
      const isInput = input.localName === "input" && input.type === "file";
      this.held = isInput ? input : null;
      return { isInput, takesSeveral: isInput && (input.multiple || input.webkitdirectory), isDisabled: isInput && isDisabled(input) };
    });
  },

  /** Takes the files from the file input that is held. */
  clearFiles() {
    if (!this.held.value) return;
    this.held.value = "";
    this.held.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    this.held.dispatchEvent(new Event("change", { bubbles: true }));
  },

  /** Notes whether the page lets its own dragging begin. */
  watchDrag() {
    drag?.stop();
    let begun = null;
    const see = (event) => (begun = event);
    addEventListener("dragstart", see, true);
    drag = {
      stop() {
        removeEventListener("dragstart", see, true);
        drag = null;
        return begun !== null && !begun.defaultPrevented;
      },
    };
  },

  async hasDragBegun() {
    await frame();
    return drag?.stop() ?? false;
  },

  /** Scrolls one element into view, or what is in it (or the page) to its top or bottom. */
  scroll(locator, to, ms) {
    const act = (element) => {
      const scroller = scrollerOf(element);
      if (to === "view") element.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
      else scroller.scrollTo({ top: to === "top" ? 0 : scroller.scrollHeight, behavior: "instant" });
      return null;
    };
    return locator ? one(locator, ms, act) : { one: act(document.documentElement) };
  },

  /**
   * Waits until nothing scrolls any more, for a second's frames at most. The first of them may show nothing of it yet.
   */
  async calm(ms) {
    const end = performance.now() + ms;
    let still = 0;
    const see = () => (still = 0);
    addEventListener("scroll", see, true);
    for (let left = 60; still < 5 && left > 0 && (await nextFrame(end)); left--) still++;
    removeEventListener("scroll", see, true);
  },

  middle: () => ({ x: innerWidth / 2, y: innerHeight / 2 }),

  /** The fields of all rows, as JSON: one text reaches the client much sooner than as many values. */
  readRows(rows, fields) {
    const isFlat = rootsOf(document).length === 1;
    const elements = all(rows);
    let plainTexts = 0;
    const readers = fields.map(({ locator, read: what }) => {
      if (what.each) {
        const findAll = locator ? (row) => all(locator, row) : (row) => [row];
        return (row) => JSON.stringify(findAll(row).map((element) => read(element, what.each)));
      }
      const selector = isFlat && plainSelector(locator);
      if (!selector) return (row) => read(locator ? all(locator, row)[0] : row, what);
      if (what !== "text") return (row) => read(row.querySelector(selector), what);
      plainTexts++;
      return (row, areLettersShown) => {
        const element = row.querySelector(selector);
        return element && areLettersShown ? textOfLetters(element) : read(element, what);
      };
    });
    const areLettersShown = plainTexts > 2 ? lettersShown(elements) : () => false;
    const cells = elements.map((row) => {
      const areShown = areLettersShown(row);
      return readers.map((reader) => reader(row, areShown));
    });
    return JSON.stringify({ cells, base: document.baseURI });
  },

  /** The box of one element, for a picture of it, and how far its document is scrolled. */
  box: (locator, ms) =>
    one(locator, ms, (element) => {
      element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x, y, width, height, scrollX, scrollY };
    }),

  /** Covers elements, until `unmask`. */
  cover(locators, isPrinted) {
    for (const element of locators.flatMap((locator) => all(locator))) coverElement(element, isPrinted);
  },

  possibleHosts,
  /** Takes closed shadow roots; says whether one of them is new. */
  enter(...roots) {
    const known = closedRoots;
    closedRoots = roots;
    return roots.some((root) => !known.includes(root));
  },
  showing,
  coverFound,

  unmask() {
    // Backwards, so that an element that was concealed twice gets back what it had at first.
    for (const mask of masks.splice(0).reverse()) mask.remove();
  },
};

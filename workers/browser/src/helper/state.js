// What state an element is in: visible, disabled, checked.

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
  const { width, height } = boxOf(element);
  return `it has no size (${Math.round(width)} by ${Math.round(height)} pixels)`;
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

function isChecked(element) {
  if (element.localName === "label" && element.control) return isChecked(element.control);
  return element.checked ?? element.getAttribute("aria-checked") === "true";
}

// Reading what is on the page.

function read(element, what) {
  if (!element) return null;
  // Its page may have cut or changed what was entered, so that the client would not know it again.
  if (/^(text|html|value)$/.test(what) && isConcealed(element)) return (element.value ?? element.textContent) && "•••";
  if (what === "text") return element.innerText?.trim() ?? element.textContent.trim();
  if (what === "html") return element.innerHTML;
  if (what === "checked") return String(element.checked ?? element.getAttribute("aria-checked") === "true");
  if (what === "value") return element.value ?? null;
  return element.getAttribute(what.attribute);
}

/** The selector of a locator that is nothing else, with which a row can be asked for a field without detours. */
function plainSelector(locator) {
  const selector = locator?.by.css;
  if (!selector || locator.nth !== null || locator.within) return null;
  try {
    document.createDocumentFragment().querySelector(selector);
  } catch (error) {
    throw badSelector(selector, error.message);
  }
  return selector;
}

/** Whether an element shows all of its text letter for letter: nothing hidden, nothing in capitals by a style sheet. */
function showsAllLetters(element) {
  const [shown, text] = [element.innerText ?? "", element.textContent];
  let next = 0;
  for (let i = 0; i < shown.length; i++) {
    if (shown.charCodeAt(i) <= 32) continue;
    while (text.charCodeAt(next) <= 32) next++;
    if (shown.charCodeAt(i) !== text.charCodeAt(next++)) return false;
  }
  return text.slice(next).trim() === "";
}

/**
 * Tells of each row whether it shows all of its letters. What an element shows is dear to ask for, so all rows are asked
 * at once, and one by one only where that fails.
 */
function lettersShown(rows) {
  const list = rows[0]?.parentElement;
  const areAllShown = Boolean(list) && showsAllLetters(list);
  return (row) => (areAllShown && row.parentElement === list) || showsAllLetters(row);
}

/** The text of an element, where all letters are known to be shown. Then only white space can look otherwise. */
function textOfLetters(element) {
  const text = element.textContent.trim();
  const isPlain = !element.firstElementChild && !/[\t\n\v\f\r]|  /.test(text);
  return isPlain && !(concealed.size && isConcealed(element)) ? text : read(element, "text");
}

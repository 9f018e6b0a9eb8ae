// The tree of elements with open shadow roots.

const parentOf = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host ?? null;

/** What an element stands in: its parent, or the host of the shadow root that it is at the top of. */
const above = (element) => element.parentElement ?? element.getRootNode().host ?? null;

function contains(outer, inner) {
  for (let node = inner; node; node = above(node)) {
    if (node === outer) return true;
  }
  return false;
}

/** The root itself and all open shadow roots below it, in document order. */
function rootsOf(root) {
  const roots = [root];
  const enter = (node) => {
    // A walker takes a fifth of the time that a list of all elements takes.
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_ELEMENT);
    for (let element = node; element; element = walker.nextNode()) {
      if (!element.shadowRoot) continue;
      roots.push(element.shadowRoot);
      enter(element.shadowRoot);
    }
  };
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

// What is wrong with how the loaded page looks, as an array of sentences. Parts of closed folds have
// no size and are not looked at.
(() => {
  const problems = [];
  if (document.documentElement.scrollWidth > innerWidth) {
    problems.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  }

  // Every piece of text on the screen, one for each line that it takes.
  const pieces = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || parent.closest('title, desc, script') || !parent.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width > 0) pieces.push({ text: node.data.trim(), box, parent });
  }
  if (pieces.length < 50) problems.push(`only ${pieces.length} pieces of text found`);

  pieces.sort((one, other) => one.box.top - other.box.top);
  const overlap = (a, b, start, end) => Math.min(a[end], b[end]) - Math.max(a[start], b[start]) > 1;
  pieces.forEach((one, at) => {
    for (const other of pieces.slice(at + 1)) {
      if (other.box.top > one.box.bottom) break;
      if (overlap(one.box, other.box, 'left', 'right') && overlap(one.box, other.box, 'top', 'bottom')) {
        problems.push(`"${one.text}" overlaps "${other.text}"`);
      }
    }
  });

  for (const { text, box, parent } of pieces) {
    const picture = parent.closest('svg')?.getBoundingClientRect();
    const isInside = !picture || (box.left >= picture.left - 0.5 && box.right <= picture.right + 0.5
      && box.top >= picture.top - 0.5 && box.bottom <= picture.bottom + 0.5);
    if (!isInside) problems.push(`"${text}" leaves its picture`);
    const isScrolled = parent.closest('.wide');
    if (!isScrolled && (box.left < 0 || box.right > innerWidth)) problems.push(`"${text}" leaves the window`);
  }

  // Contrast as WCAG 2.2 defines it, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
  const numbers = colour => colour.match(/[\d.]+/g).map(Number);
  const luminance = colour => {
    const [red, green, blue] = numbers(colour).map(value => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const check = (element, property, least, what) => {
    const [one, other] = [getComputedStyle(element)[property], background(element)].map(luminance);
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < least) problems.push(`${what} has a contrast of ${contrast.toFixed(2)}`);
  };
  for (const { text, parent } of pieces) check(parent, parent.closest('svg') ? 'fill' : 'color', 4.5, `"${text}"`);
  for (const line of document.querySelectorAll('.line')) check(line, 'stroke', 3, line.outerHTML);
  for (const bar of document.querySelectorAll('.bar, .marker')) check(bar, 'fill', 3, bar.outerHTML);
  return [...new Set(problems)];
})()

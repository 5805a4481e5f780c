// What a reader stumbles over in the pages that are frames of this one; for support/browser.py.
const seen = node => {
  const style = node.ownerDocument.defaultView.getComputedStyle(node);
  return style.visibility !== 'hidden' && node.getClientRects().length > 0;
};
const scrolls = node => {
  for (let up = node; up; up = up.parentElement) {
    const overflow = up.ownerDocument.defaultView.getComputedStyle(up).overflowX;
    if (overflow === 'auto' || overflow === 'scroll') return true;
  }
  return false;
};
const fixed = node => {
  for (let up = node; up; up = up.parentElement)
    if (up.ownerDocument.defaultView.getComputedStyle(up).position === 'fixed') return true;
  return false;
};
const listTexts = doc => {
  const walker = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT), texts = [];
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || parent.closest('script, style, title') || !seen(parent)) continue;
    const range = doc.createRange();
    range.selectNodeContents(node);
    texts.push({text: node.data.trim().slice(0, 40), parent, rects: [...range.getClientRects()]});
  }
  return texts;
};
const luminance = color => {
  const parts = color.match(/[\d.]+/g).slice(0, 3).map(each => {
    const share = each / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const contrast = (node, scheme) => {
  let below = scheme === 'dark' ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)';
  for (let up = node; up; up = up.parentElement) {
    const color = up.ownerDocument.defaultView.getComputedStyle(up).backgroundColor;
    if (color.startsWith('rgb(')) { below = color; break; }
  }
  const both = [node.ownerDocument.defaultView.getComputedStyle(node).color, below].map(luminance);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
};
const common = (a, b) => [
  Math.min(a.right, b.right) - Math.max(a.left, b.left),
  Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top),
];

const measure = async frame => {
  const doc = frame.contentDocument, root = doc.documentElement, faults = [];
  const view = doc.defaultView, {name, width, scheme} = frame.dataset;
  const images = [...doc.images].filter(image => image.src);
  for (const image of images) image.loading = 'eager';
  for (const details of doc.querySelectorAll('details')) details.open = true;
  await Promise.all(images.map(image => image.complete || new Promise(done => {
    image.onload = image.onerror = done;
  })));
  if (root.scrollWidth > root.clientWidth)
    faults.push(`the page is ${root.scrollWidth} wide, its window ${root.clientWidth}`);
  for (const node of doc.body.querySelectorAll('*')) {
    const box = node.getBoundingClientRect(), style = view.getComputedStyle(node);
    if (seen(node) && (box.right > root.clientWidth + 1 || box.left < -1) && !scrolls(node))
      faults.push(`<${node.localName}> is from ${box.left} to ${box.right}`);
    if (['hidden', 'clip'].includes(style.overflowX) && node.scrollWidth > node.clientWidth + 1)
      faults.push(`cut: ${node.textContent.trim().slice(0, 40)}`);
  }
  const texts = listTexts(doc), placed = [];
  for (const each of texts) {
    const size = parseFloat(view.getComputedStyle(each.parent).fontSize);
    if (size < 11) faults.push(`${size} pixels: ${each.text}`);
    const ratio = contrast(each.parent, scheme);
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(1)}: ${each.text}`);
    if (fixed(each.parent)) continue;
    for (const rect of each.rects) placed.push([rect, each]);
  }
  placed.sort(([a], [b]) => a.top - b.top);
  placed.forEach(([rect, each], place) => {
    for (let next = place + 1; next < placed.length && placed[next][0].top < rect.bottom; next++) {
      const [other, another] = placed[next], [across, down] = common(rect, other);
      if (another !== each && across > 2 && down > 4)
        faults.push(`one over another: ${each.text} | ${another.text}`);
    }
  });
  for (const image of images.filter(seen)) {
    const box = image.getBoundingClientRect(), shape = image.naturalWidth / image.naturalHeight;
    if (!image.naturalWidth) faults.push(`no picture: ${image.alt}`);
    else if (Math.abs(box.width / box.height / shape - 1) > 0.05)
      faults.push(`${box.width} x ${box.height} is distorted: ${image.alt}`);
    if (!image.alt) faults.push(`a picture without words: ${image.src.slice(0, 60)}`);
  }
  const text = view.getComputedStyle(doc.body).color;
  const counts = {texts: texts.length, pictures: images.length};
  const shown = doc.getElementById('shown')?.innerText;
  return {name, width, scheme, faults, height: root.scrollHeight, text, shown, ...counts};
};

addEventListener('load', async () => {
  const found = await Promise.all([...document.querySelectorAll('iframe')].map(measure));
  document.getElementById('found').textContent = JSON.stringify(found);
});

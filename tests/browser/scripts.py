"""What the page itself is asked to do: JavaScript, as strings."""

# Keeps each frame of each live figure, by its name: how far its bar has come.
FRAMES = """
  window.liveFrames = {};
  const drawn = 'svg[aria-label$=": live latency"]';
  const note = svg => {
    const name = svg.getAttribute('aria-label').split(':')[0];
    const bar = Number(svg.querySelectorAll('rect')[1].getAttribute('width'));
    (window.liveFrames[name] ??= []).push(bar);
  };
  new MutationObserver(changes => {
    for (const node of changes.flatMap(change => [...change.addedNodes])) {
      if (node.matches?.(drawn)) note(node);
      node.querySelectorAll?.(drawn).forEach(note);
    }
  }).observe(document, {childList: true, subtree: true});
"""

# Brings a cell into view and ends when it has stood still for ten frames: Lab gives the cells
# above it their height only when they come near.
STILL = """
  async cell => {
    for (let same = 0, last = ''; same < 10; ) {
      cell.scrollIntoView({block: 'nearest'});
      await new Promise(requestAnimationFrame);
      const now = JSON.stringify(cell.getBoundingClientRect());
      same = now === last ? same + 1 : 0;
      last = now;
    }
  }
"""

# What is written under the cells with less contrast than asked for (as WCAG 2 defines it).
FAINT = """
  least => {
    const rgba = colour => {
      const parts = colour.match(/[\\d.]+/g).map(Number);
      const whole = colour.startsWith('color(') ? 1 : 255;  // color(srgb …) counts to 1
      return [...parts.slice(0, 3).map(part => part / whole), parts[3] ?? 1];
    };
    const luminance = ([r, g, b]) => {
      const linear = part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    };
    const behind = element => {
      for (; element; element = element.parentElement) {
        const colour = rgba(getComputedStyle(element).backgroundColor);
        if (colour[3] > 0.5) return colour;
      }
      return [1, 1, 1, 1];
    };
    const found = new Set();
    for (const output of document.querySelectorAll('.jp-OutputArea-output')) {
      const texts = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        const style = getComputedStyle(element);
        if (!/[\\p{L}\\p{N}]/u.test(texts.currentNode.data)) continue;  // no words
        const colour = rgba(element.closest('svg') ? style.fill : style.color);
        const [light, dark] = [colour, behind(element)].map(luminance).sort((a, b) => b - a);
        const contrast = (light + 0.05) / (dark + 0.05);
        const words = texts.currentNode.data.trim().slice(0, 40);
        if (contrast < least) found.add(`${words}: ${contrast.toFixed(1)}`);
      }
    }
    return [...found];
  }
"""

// A plot as SVG: lines of points over a logarithmic axis, from zero.

const size = { width: 720, height: 380, left: 70, right: 150, top: 50, bottom: 60 };
const colours = ['#1f5fa8', '#b5541c', '#3c7d3c', '#7d3c7d'];

// `lines`: {title: [[x, y], …]}
export function plot({ title, x, lines }) {
  const points = Object.values(lines).flat();
  const [least, most] = [Math.min(...points.map(([at]) => at)), Math.max(...points.map(([at]) => at))];
  const step = niceStep(Math.max(...points.map(([, value]) => value)) / 5);
  const top = step * Math.ceil(Math.max(...points.map(([, value]) => value)) / step + 0.2);
  const inner = { width: size.width - size.left - size.right, height: size.height - size.top - size.bottom };
  const across = (at) =>
    size.left + (inner.width * (Math.log10(at) - Math.log10(least))) / (Math.log10(most) - Math.log10(least) || 1);
  const down = (value) => size.top + inner.height * (1 - value / top);
  const out = [];
  for (let value = 0; value <= top + step / 2; value += step) {
    const at = down(value).toFixed(1);
    out.push(`<line x1="${size.left}" x2="${size.left + inner.width}" y1="${at}" y2="${at}" stroke="#ddd"/>`);
    out.push(text(size.left - 8, Number(at) + 4, Number(value.toPrecision(6)).toLocaleString('en'), 'end'));
  }
  for (const at of new Set(points.map(([at]) => at))) {
    out.push(text(across(at), size.top + inner.height + 20, at.toLocaleString('en'), 'middle'));
  }
  for (const [index, [name, line]] of Object.entries(lines).entries()) {
    const colour = colours[index % colours.length];
    const path = line.map(([at, value]) => `${across(at).toFixed(1)},${down(value).toFixed(1)}`);
    out.push(`<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const point of path) {
      const [cx, cy] = point.split(',');
      out.push(`<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`);
    }
    const [, last] = line.at(-1);
    out.push(text(size.left + inner.width + 10, down(last) + 4, name, 'start', colour));
  }
  out.push(text(size.left, 24, title, 'start', '#222', 15));
  out.push(text(size.left + inner.width / 2, size.height - 14, x, 'middle'));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif">
<rect width="100%" height="100%" fill="white"/>
${out.join('\n')}
</svg>
`;
}

function text(x, y, words, anchor, colour = '#444', points = 12) {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${colour}" font-size="${points}">${safe}</text>`;
}

// 1, 2 or 5 times a power of ten.
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least);
}

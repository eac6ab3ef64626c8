// Shows one track at a time, and the numbers under the pointer. Without scripts all are shown.
"use strict";
const lines = JSON.parse(document.getElementById("lines").textContent);
const figures = [...document.querySelectorAll("#tracks figure")];
const select = document.querySelector("#tracks select");

function show() {
  for (const figure of figures) figure.hidden = figure.dataset.track !== select.value;
}

function nearest(times, age) {
  let low = 0, high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] > age) high = middle; else low = middle;
  }
  return age - times[low] < times[high] - age ? low : high;
}

function told(value, digits, unit) {
  return value === null ? "–" : (digits === null ? String(value) : value.toFixed(digits)) + unit;
}

function follow(figure) {
  const { t, b, s, n, box, span } = lines[figure.dataset.track];
  const plot = figure.querySelector(".plot");
  const rule = plot.appendChild(document.createElement("hr"));
  const note = plot.appendChild(document.createElement("output"));
  const hide = () => { rule.hidden = note.hidden = true; };
  hide();
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("pointermove", (event) => {
    const area = plot.getBoundingClientRect();
    const x = (event.clientX - area.left) / area.width;
    const share = (x - box[0]) / (box[1] - box[0]);
    if (share < 0 || share > 1) return hide();
    const i = nearest(t, span[0] + share * (span[1] - span[0]));
    const at = box[0] + (t[i] - span[0]) / (span[1] - span[0]) * (box[1] - box[0]);
    rule.hidden = note.hidden = false;
    rule.style.left = `${at * 100}%`;
    note.style.left = at < 0.5 ? `calc(${at * 100}% + 0.6rem)` : "auto";
    note.style.right = at < 0.5 ? "auto" : `calc(${(1 - at) * 100}% + 0.6rem)`;
    note.textContent = `${told(t[i], 1, " s after the signal")}\n` +
      `sell ${told(s[i], null, "")}\nbuy  ${told(b[i], null, "")}\nnet  ${told(n[i], 2, " bps")}`;
  });
}

if (select) {
  select.hidden = false;
  select.addEventListener("change", show);
  figures.forEach(follow);
  show();
}

// The look of the training report, and the few lines of script that move its slider.
#pragma once

namespace limn {

inline constexpr const char* report_style = R"css(
:root {
  color-scheme: light dark;
  --ink: #1c2026; --soft: #626a76; --line: #e3e6ea; --page: #fff; --card: #f6f7f9; --one: #0060c0; --two: #c2570a; --good: #1a7f4b;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #9aa3ae; --line: #343a42; --page: #15181c; --card: #1d2126; --one: #6cb2ff; --two: #ffa25c; --good: #5fd699; }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 3.5rem 0 1rem; }
p { margin: .4rem 0 1rem; }
.soft, figcaption span, small { color: var(--soft); }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; margin: 1.75rem 0 0; padding: 0; list-style: none; }
.figures li { background: var(--card); border-radius: .6rem; padding: .8rem 1.1rem; font-size: .875rem; color: var(--soft); }
.figures b { display: block; font-size: 1.5rem; color: var(--ink); font-variant-numeric: tabular-nums; }

.charts { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); }
.charts + p { font-size: .875rem; margin-top: .75rem; }
.chart { width: 100%; background: var(--card); border-radius: .6rem; padding: .6rem .9rem; overflow: visible; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.chart .title { font-size: 14px; font-weight: 600; fill: var(--ink); }
.chart .grid { stroke: var(--line); }
.chart .mark { stroke: var(--good); stroke-dasharray: 4 4; stroke-width: 1.5; }
.chart path { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart path.curve0 { stroke: var(--one); } .chart circle.curve0, .chart .legend.curve0 { fill: var(--one); }
.chart path.curve1 { stroke: var(--two); } .chart circle.curve1, .chart .legend.curve1 { fill: var(--two); }
.chart circle { stroke: transparent; stroke-width: 14; } /* easy to point at */
@media (max-width: 30rem) { .chart text { font-size: 16px; } .chart .title { font-size: 18px; } }

.slider { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: center; position: sticky; top: 0; background: var(--page); padding: .6rem 0; z-index: 1; }
.slider input { flex: 1 1 14rem; accent-color: var(--one); }
.slider output { min-width: 21rem; font-variant-numeric: tabular-nums; }
.photos { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); }
figure { margin: 0; background: var(--card); border-radius: .6rem; padding: .7rem; overflow: hidden; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: .4rem; font-size: .75rem; color: var(--soft); }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; display: block; border-radius: .3rem; background: color-mix(in srgb, var(--ink) 6%, transparent); }
figcaption { margin-top: .5rem; font-size: .9rem; line-height: 1.4; overflow-wrap: anywhere; }
figcaption span { font-size: .8rem; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .9rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.confusion th:first-child { text-align: left; white-space: nowrap; position: sticky; left: 0; background: var(--page); padding-left: 0; }
.confusion td { white-space: nowrap; }
small { display: block; font-size: .75rem; }
.confusion small { color: inherit; opacity: .75; }
.settings td { text-align: left; overflow-wrap: anywhere; }
.settings td:first-child { color: var(--soft); padding-left: 0; white-space: nowrap; }
code { background: var(--card); border-radius: .6rem; padding: .8rem 1rem; display: block; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .875rem; }
)css";

inline constexpr const char* report_slider = R"html(<h2>What it sees</h2>
<p class="soft">The same validation photos after each epoch. Warm colours: what speaks for the class named below the photo.</p>
<div class="slider"><output id="epoch"></output><input id="slider" type="range" min="0" aria-label="epoch"></div>
<div class="photos" id="photos"></div>
)html";

inline constexpr const char* report_script = R"js(
const data = JSON.parse(document.getElementById('data').textContent);
const shown = data.epochs.filter(epoch => Object.keys(epoch.pictures).length);
const keys = [...new Set(shown.flatMap(epoch => Object.keys(epoch.pictures)))];
const titles = {images: 'photo', cam: 'CAM', gradcam: 'Grad-CAM'};
const slider = document.getElementById('slider');

function add(parent, tag, text = '') {
  const element = document.createElement(tag);
  element.textContent = text;
  return parent.appendChild(element);
}

// The elements are made once, so that nothing flickers while the slider moves.
function makeFigures(count) {
  return Array.from({length: count}, () => {
    const figure = add(document.getElementById('photos'), 'figure'), row = add(figure, 'div');
    row.className = 'row';
    const cells = keys.map(key => {
      const cell = add(row, 'div', titles[key] || key);
      return {key, cell, image: add(cell, 'img')};
    });
    return {figure, cells, caption: add(figure, 'figcaption')};
  });
}

function show(figures, epoch) {
  const accuracy = epoch.scalars.val_accuracy;
  document.getElementById('epoch').textContent =
    'epoch ' + epoch.number + (typeof accuracy == 'number' ? ', validation accuracy ' + (100 * accuracy).toFixed(2) + ' %' : '');
  figures.forEach(({figure, cells, caption}, n) => {
    caption.textContent = '';
    for (const {key, cell, image} of cells) {
      const picture = (epoch.pictures[key] || [])[n];
      cell.hidden = !picture;
      if (!picture) continue;
      image.src = data.images[picture.image];
      image.alt = cell.textContent + ': ' + picture.caption;
      caption.textContent ||= picture.caption;
    }
    figure.hidden = cells.every(({cell}) => cell.hidden);
  });
}

if (slider && shown.length) {
  const counts = shown.flatMap(epoch => Object.values(epoch.pictures).map(list => list.length));
  const figures = makeFigures(Math.max(...counts));
  slider.max = shown.length - 1;
  slider.value = shown.length - 1;
  slider.hidden = shown.length < 2;
  slider.oninput = () => show(figures, shown[slider.value]);
  slider.oninput();
}
)js";

}  // namespace limn

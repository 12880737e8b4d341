// The look of the training report, and the few lines of script that move its slider.
#pragma once

namespace limn {

inline constexpr const char* report_style = R"css(
:root { --ink: #1c2026; --soft: #69717d; --line: #e3e6ea; --page: #fff; --card: #f7f8fa; --one: #0060c0; --two: #d1600a; --good: #1a7f4b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #9aa3ae; --line: #31363d; --page: #15181c; --card: #1d2126; --one: #6cb2ff; --two: #ffa25c; --good: #5fd699; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 5rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 3rem 0 1rem; }
.soft, figcaption span { color: var(--soft); }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.5rem 0 0; padding: 0; list-style: none; }
.figures li { background: var(--card); border-radius: .6rem; padding: .8rem 1.2rem; min-width: 9rem; }
.figures b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.charts, .photos { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); }
.chart { width: 100%; background: var(--card); border-radius: .6rem; padding: .5rem; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--soft); } .chart .title { font-size: 14px; font-weight: 600; fill: var(--ink); }
.chart .grid { stroke: var(--line); } .chart .mark { stroke: var(--good); stroke-dasharray: 4 4; stroke-width: 1.5; }
.chart path { fill: none; stroke-width: 2; } .chart path.curve0 { stroke: var(--one); } .chart path.curve1 { stroke: var(--two); }
.chart circle.curve0, .chart .legend.curve0 { fill: var(--one); } .chart circle.curve1, .chart .legend.curve1 { fill: var(--two); }
.slider { display: flex; gap: 1rem; align-items: center; position: sticky; top: 0; background: var(--page); padding: .6rem 0; z-index: 1; }
.slider input { flex: 1; accent-color: var(--one); } .slider output { min-width: 7rem; font-variant-numeric: tabular-nums; }
figure { margin: 0; background: var(--card); border-radius: .6rem; padding: .7rem; overflow: hidden; }
figure div { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: .4rem; }
figure label { font-size: .75rem; color: var(--soft); display: block; } figure img { width: 100%; display: block; border-radius: .3rem; }
figcaption { margin-top: .4rem; font-size: .9rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } th, td { padding: .35rem .9rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td:first-child, th:first-child { text-align: left; } .settings td { text-align: left; overflow-wrap: anywhere; }
code { background: var(--card); border-radius: .4rem; padding: .6rem .8rem; display: block; white-space: pre-wrap; overflow-wrap: anywhere; }
)css";

inline constexpr const char* report_script = R"js(
const data = JSON.parse(document.getElementById('data').textContent);
const shown = data.epochs.filter(e => e.pictures && Object.keys(e.pictures).length);
const slider = document.getElementById('slider'), place = document.getElementById('photos');
const titles = {images: 'photo', cam: 'CAM', gradcam: 'Grad-CAM'};
function show(i) {
  const epoch = shown[i], keys = Object.keys(epoch.pictures);
  document.getElementById('epoch').textContent = 'epoch ' + epoch.number;
  place.replaceChildren(...epoch.pictures[keys[0]].map((first, n) => {
    const figure = document.createElement('figure'), row = document.createElement('div'), caption = document.createElement('figcaption');
    for (const key of keys) {
      const cell = document.createElement('label'), image = document.createElement('img'), picture = epoch.pictures[key][n];
      if (!picture) continue;
      image.src = data.images[picture.image];
      image.alt = (titles[key] || key) + ': ' + picture.caption;
      cell.append(titles[key] || key, image);
      row.append(cell);
    }
    caption.textContent = first.caption;
    figure.append(row, caption);
    return figure;
  }));
}
if (slider && shown.length) {
  slider.max = shown.length - 1;
  slider.value = shown.length - 1;
  slider.oninput = () => show(slider.value);
  show(shown.length - 1);
}
)js";

}  // namespace limn

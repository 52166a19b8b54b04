document.documentElement.classList.add("js");
const all = document.querySelector("#all");
const pairs = [...document.querySelectorAll(".defect")]
  .map((defect) => [defect.querySelector(".strip"), defect.querySelector(".switch")])
  .filter(([strip, button]) => strip && button);
const isRepaired = ([strip]) => strip.classList.contains("repaired");
const show = ([strip, button], repaired) => {
  strip.classList.toggle("repaired", repaired);
  button.setAttribute("aria-pressed", String(repaired));
  all.setAttribute("aria-pressed", String(pairs.every(isRepaired)));
};
for (const pair of pairs) {
  const [strip, button] = pair;
  button.hidden = false;
  button.addEventListener("click", () => show(pair, !isRepaired(pair)));
  // Where nothing hovers, a tap does it.
  strip.addEventListener("click", () => {
    if (!matchMedia("(hover: hover)").matches) show(pair, !isRepaired(pair));
  });
}
if (all) {
  all.hidden = false;
  all.addEventListener("click", () => {
    const repaired = !pairs.every(isRepaired);
    for (const pair of pairs) show(pair, repaired);
  });
}

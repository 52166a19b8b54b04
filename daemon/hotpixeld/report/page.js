document.documentElement.classList.add("js");
const strips = [...document.querySelectorAll(".strip")];
const show = (strip, repaired) => {
  const button = strip.parentElement.querySelector(".switch");
  if (!button) return;
  strip.classList.toggle("repaired", repaired);
  button.setAttribute("aria-pressed", String(repaired));
};
const turn = (strip) => show(strip, !strip.classList.contains("repaired"));
for (const strip of strips) {
  const button = strip.parentElement.querySelector(".switch");
  if (!button) { strip.classList.add("fixed"); continue; }
  button.hidden = false;
  button.addEventListener("click", () => turn(strip));
  // Where nothing hovers, a tap does it.
  strip.addEventListener("click", () => {
    if (!matchMedia("(hover: hover)").matches) turn(strip);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "r" || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = strips.every((strip) => strip.classList.contains("repaired") || strip.classList.contains("fixed"));
  for (const strip of strips) show(strip, !all);
});

"use strict";
(function () {
  const filters = document.getElementById("filters");
  if (!filters) return;
  const samples = Array.from(document.querySelectorAll("details.sample"));
  const category = document.getElementById("by-category");
  const outcome = document.getElementById("by-outcome");
  const shown = document.getElementById("shown");

  function apply() {
    let count = 0;
    for (const sample of samples) {
      const fits =
        (!category.value || sample.dataset.category === category.value) &&
        (!outcome.value || sample.dataset.outcome === outcome.value);
      sample.hidden = !fits;
      if (fits) count += 1;
    }
    shown.textContent = count + " of " + samples.length + " shown";
  }

  document.getElementById("open-all").addEventListener("click", function (event) {
    const open = event.target.getAttribute("aria-pressed") !== "true";
    for (const sample of samples) sample.open = open;
    event.target.setAttribute("aria-pressed", String(open));
    event.target.textContent = open ? "Close all" : "Open all";
  });
  category.addEventListener("change", apply);
  outcome.addEventListener("change", apply);
  filters.hidden = false;
  apply();
})();

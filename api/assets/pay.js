// What the page can do without: a countdown to the second, and a button that takes one click. Everything else works without a script.
"use strict";
(() => {
  const words = (left) => {
    const minutes = Math.floor(left / 60), seconds = String(left % 60).padStart(2, "0");
    return minutes >= 60 ? `in ${Math.floor(minutes / 60)} h ${minutes % 60} min` : `in ${minutes}:${seconds}`;
  };
  const countdown = document.getElementById("countdown");
  if (countdown) {
    // Counted from when the page came: this machine's clock may be wrong.
    const total = Number(countdown.dataset.seconds), start = performance.now();
    const tick = () => {
      const left = Math.max(0, Math.ceil(total - (performance.now() - start) / 1000));
      countdown.textContent = `(${words(left)})`;
      if (left > 0) setTimeout(tick, 1000);
    };
    tick();
  }
  for (const form of document.querySelectorAll("form.guarded")) {
    const button = form.querySelector("button");
    const label = button.textContent;
    form.addEventListener("submit", (event) => {
      if (button.getAttribute("aria-disabled") === "true") return event.preventDefault();
      button.setAttribute("aria-disabled", "true");
      button.textContent = button.dataset.busy;
    });
    // Back from another page: it may be clicked again.
    addEventListener("pageshow", (event) => {
      // Out of the browser's memory it may be long out of date.
      if (event.persisted) return location.reload();
      button.removeAttribute("aria-disabled");
      button.textContent = label;
    });
  }
  const other = document.getElementById("card-other"), token = document.getElementById("token");
  if (other && token) token.addEventListener("input", () => { other.checked = true; });
})();

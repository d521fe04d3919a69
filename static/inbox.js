// The list of change requests by keys: j and k go through it, / searches; Enter opens, as with any link.
"use strict";

(() => {
  const KEYS_OFF = "countersign-keys-off";
  const hint = document.querySelector("[data-keys-hint]");
  const isOn = () => !localStorage.getItem(KEYS_OFF);
  if (hint) hint.hidden = !isOn();

  function move(by) {
    const rows = [...document.querySelectorAll("[data-rows] > li > a")];
    if (!rows.length) return;
    const here = rows.indexOf(document.activeElement);
    rows[here < 0 ? 0 : Math.min(Math.max(here + by, 0), rows.length - 1)].focus();
    document.activeElement.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !isOn()) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "/") document.getElementById("request-search").focus();
    else return;
    event.preventDefault();
  });
})();

// A context is typed as JSON; attributes that are known can be added to it by a click.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const hidden of document.querySelectorAll("[data-scripted]")) hidden.hidden = false;

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-member]");
    if (!button) return;
    const field = document.getElementById(button.dataset.of);
    let context = null;
    try {
      context = JSON.parse(field.value.trim() || "{}");
    } catch {
      // What cannot be read stays as it was typed; the server says where it is wrong.
    }
    if (context === null || typeof context !== "object" || Array.isArray(context)) return field.focus();
    const { member, value } = button.dataset;
    if (!Object.hasOwn(context, member)) context[member] = JSON.parse(value);
    const text = JSON.stringify(context, null, 2);
    field.value = text;
    field.rows = Math.max(field.rows, text.split("\n").length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    // The value is what one goes on with.
    const start = text.indexOf(": ", text.indexOf(`\n  ${JSON.stringify(member)}: `)) + 2;
    field.focus();
    field.setSelectionRange(start, start + JSON.stringify(context[member], null, 2).length);
  });
});

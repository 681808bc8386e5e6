// What pages can do beyond links and forms: copy an id, and show new incidents as they happen. Every page
// works without it.
"use strict";

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers give no clipboard to pages that came over plain http from elsewhere than this machine.
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

// Rows that are kept on a page that goes on by itself.
const MOST_ROWS = 500;

function follow(table) {
  const rows = table.tBodies[0];
  const status = document.getElementById("live");
  const tail = new EventSource(table.dataset.tail);
  tail.onopen = () => (status.textContent = "Live: new incidents come by themselves.");
  tail.onmessage = (event) => {
    // Made by the server, which escapes all text in it.
    const row = document.createElement("template");
    row.innerHTML = event.data;
    rows.prepend(row.content);
    document.querySelector(".nothing")?.remove();
    while (rows.rows.length > MOST_ROWS) rows.lastElementChild.remove();
  };
  tail.onerror = () => {
    const isOver = tail.readyState === EventSource.CLOSED;
    status.textContent = isOver ? "Not live any more: load the page again." : "Cut off: trying again…";
  };
}

for (const table of document.querySelectorAll("table[data-tail]")) follow(table);

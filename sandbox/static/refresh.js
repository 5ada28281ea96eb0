// Fetch the page again every few seconds and replace its main part, as long as somebody looks at it.
(function () {
  "use strict";
  const seconds = Number(document.body.dataset.refresh);
  if (!seconds) { return; }
  async function refresh() {
    if (document.hidden) { return; }
    try {
      const answer = await fetch(location.href, { headers: { "x-refresh": "1" } });
      if (!answer.ok) { return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      const shown = document.querySelector("main");
      if (fresh && shown && fresh.innerHTML !== shown.innerHTML && !shown.contains(document.activeElement)) {
        shown.innerHTML = fresh.innerHTML;
      }
    } catch (problem) {
      // The server is away for a moment: the next round tries again.
    }
  }
  setInterval(refresh, seconds * 1000);
})();

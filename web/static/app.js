// The page's own behaviour: theme, the reader's time zone, keys, and lists that refresh without losing one's place.
// No framework, no evaluation of text, no handlers in the markup. Without it every page still works.
(function () {
  "use strict";

  const root = document.documentElement;
  const EVERY = 5000;
  const TYPED = 3000;

  function kept(name) {
    try { return localStorage.getItem(name); } catch (refused) { return null; }
  }
  function keep(name, value) {
    try { localStorage.setItem(name, value); } catch (refused) { /* a private window keeps nothing */ }
  }

  // -- theme: before anything is painted ------------------------------------------------------------------------------
  const THEMES = ["auto", "light", "dark"];
  let theme = THEMES.includes(kept("theme")) ? kept("theme") : "auto";
  function wear() {
    if (theme === "auto") { delete root.dataset.theme; } else { root.dataset.theme = theme; }
  }
  wear();

  function themeSwitch(button) {
    const mark = { auto: "◐", light: "☀", dark: "☾" };
    function say() {
      button.textContent = mark[theme];
      button.setAttribute("aria-label", button.dataset[theme]);
      button.title = button.dataset[theme];
    }
    button.hidden = false;
    say();
    button.addEventListener("click", function () {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      keep("theme", theme);
      wear();
      say();
    });
  }

  // -- times in the reader's zone -------------------------------------------------------------------------------------
  const exactly = new Intl.DateTimeFormat(root.lang || "en", {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    hourCycle: "h23", timeZoneName: "short",
  });
  function localTimes(within) {
    for (const time of within.querySelectorAll("time[data-time]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) { continue; }
      const text = exactly.format(moment);
      if (time.dataset.time === "exact") {
        if (time.textContent !== text) { time.textContent = text; }
      } else if (time.title !== text) { time.title = text; }
    }
    // A form tells the server which zone its times are meant in.
    for (const field of within.querySelectorAll("input[name='offset']")) { field.value = String(-new Date().getTimezoneOffset()); }
    for (const field of within.querySelectorAll("input[name='zone']")) { field.value = exactly.resolvedOptions().timeZone; }
  }

  // -- keeping one's place: the shown tree is changed where the fresh one differs, and nowhere else ----------------------
  function key(node) {
    return node.nodeType === 1 ? node.id || node.dataset.key || node.getAttribute("aria-labelledby") || "" : "";
  }
  function alike(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && key(one) === key(other);
  }
  function attributes(shown, fresh) {
    for (const one of Array.from(shown.attributes)) {
      if (!fresh.hasAttribute(one.name) && one.name !== "open") { shown.removeAttribute(one.name); }
    }
    for (const one of fresh.attributes) {
      if (one.name === "open" || (shown.nodeName === "TIME" && one.name === "title" && shown.dateTime === fresh.dateTime)) { continue; }
      if (shown.getAttribute(one.name) !== one.value) { shown.setAttribute(one.name, one.value); }
    }
  }
  function same(shown, fresh) {
    if (shown.nodeType !== 1) {
      if (shown.nodeValue !== fresh.nodeValue) { shown.nodeValue = fresh.nodeValue; }
      return;
    }
    // What is in the reader's own zone already stays so.
    const told = shown.nodeName === "TIME" && shown.dataset.time === "exact" && shown.dateTime === fresh.getAttribute("datetime");
    attributes(shown, fresh);
    if (told || shown === document.activeElement && /^(INPUT|TEXTAREA|SELECT)$/.test(shown.nodeName)) { return; }
    children(shown, fresh);
  }
  // The next shown element that `wanted` may become, if what stands before it is not wanted any more.
  function ahead(at, wanted, names) {
    if (wanted.nodeType !== 1) { return null; }
    for (let found = at; found; found = found.nextSibling) {
      if (alike(found, wanted)) { return found; }
      if (names.has(key(found))) { return null; }
    }
    return null;
  }
  function children(shown, fresh) {
    const named = new Map();
    const names = new Set();
    for (const node of shown.children) { if (key(node)) { named.set(key(node), node); } }
    for (const node of fresh.children) { if (key(node)) { names.add(key(node)); } }
    let at = shown.firstChild;
    for (const wanted of Array.from(fresh.childNodes)) {
      const known = key(wanted) ? named.get(key(wanted)) : null;
      let node = at && alike(at, wanted) ? at : ahead(at, wanted, names);
      if (!node && known && known.nodeName === wanted.nodeName) {
        shown.insertBefore(known, at);
        node = at = known;
      }
      if (!node) {
        shown.insertBefore(document.importNode(wanted, true), at);
        continue;
      }
      while (at !== node) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
      }
      at = node.nextSibling;
      same(node, wanted);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }
  function replaceWithin(shown, fresh) {
    const active = document.activeElement;
    children(shown, fresh);
    // What was moved has lost the focus on its way.
    if (active !== document.activeElement && shown.contains(active)) { active.focus({ preventScroll: true }); }
  }

  // -- refreshing -----------------------------------------------------------------------------------------------------
  let typedAt = 0;
  function typing() {
    const active = document.activeElement;
    const field = active && /^(INPUT|TEXTAREA|SELECT)$/.test(active.nodeName) && active.type !== "checkbox";
    return field || Date.now() - typedAt < TYPED;
  }
  function rests(live) {
    const chosen = document.getSelection();
    const marked = chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode);
    return document.hidden || typing() || marked || Boolean(document.querySelector("dialog[open]"));
  }
  function refreshing(live, pulse) {
    function say(now) {
      if (!pulse || pulse.dataset.now === now) { return; }
      pulse.hidden = false;
      pulse.dataset.now = now;
      pulse.querySelector(".word").textContent = pulse.dataset[now];
    }
    let away = false;
    say("live");
    window.htmx.defineExtension("keep", {
      isInlineSwap: function (style) { return style === "keep"; },
      handleSwap: function (style, target, fragment) {
        if (style !== "keep") { return false; }
        // The rest may have begun while the answer was on its way.
        if (!rests(target)) {
          replaceWithin(target, fragment);
          localTimes(target);
        }
        return [];
      },
    });
    live.addEventListener("htmx:afterRequest", function (event) {
      away = !event.detail.successful;
      say(away ? "away" : "live");
      // The session has ended: the page that the server wants to show is the login.
      if (event.detail.xhr && event.detail.xhr.status === 401) { location.reload(); }
    });
    function round() {
      if (rests(live)) { say("resting"); return; }
      window.htmx.trigger(live, "refresh");
    }
    setInterval(round, Number(live.dataset.every) * 1000 || EVERY);
    document.addEventListener("visibilitychange", function () { if (!document.hidden) { round(); } });
  }

  // -- keys -----------------------------------------------------------------------------------------------------------
  function keys() {
    const list = document.getElementById("keys");
    const show = document.getElementById("show-keys");
    const on = document.getElementById("keys-on");
    on.checked = kept("keys") !== "off";
    on.addEventListener("change", function () { keep("keys", on.checked ? "on" : "off"); });
    show.hidden = false;
    show.addEventListener("click", function () { list.showModal(); });
    let going = 0;
    function step(by) {
      const rows = Array.from(document.querySelectorAll("main .item")).filter(function (row) { return row.querySelector("a, button"); });
      const at = rows.findIndex(function (row) { return row.contains(document.activeElement); });
      const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
      if (next) { next.querySelector("a, button").focus(); }
    }
    document.addEventListener("keydown", function (event) {
      const target = event.target;
      const writes = target instanceof HTMLElement && (/^(INPUT|TEXTAREA|SELECT)$/.test(target.nodeName) || target.isContentEditable);
      if (writes && event.key === "Escape") { target.blur(); return; }
      if (writes || event.ctrlKey || event.metaKey || event.altKey || list.open || !on.checked) { return; }
      if (Date.now() - going < 1500) {
        going = 0;
        for (const link of document.querySelectorAll("a[data-go]")) {
          if (link.dataset.go === event.key) { event.preventDefault(); link.click(); return; }
        }
      }
      if (event.key === "g") { going = Date.now(); return; }
      if (event.key === "?") { list.showModal(); }
      else if (event.key === "/") { const box = document.getElementById("search"); if (box) { box.focus(); box.select(); } }
      else if (event.key === "j") { step(1); }
      else if (event.key === "k") { step(-1); }
      else { return; }
      event.preventDefault();
    });
  }

  // -- copying: also over plain HTTP, where browsers have no clipboard to give ---------------------------------------------
  function select(text) {
    const box = document.createElement("textarea");
    const active = document.activeElement;
    box.value = text;
    box.className = "hidden";
    document.body.append(box);
    box.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch (refused) { /* said below */ }
    box.remove();
    if (active) { active.focus({ preventScroll: true }); }
    return done;
  }
  function copying() {
    root.classList.add("copies");
    const told = document.createElement("p");
    told.className = "hidden";
    told.setAttribute("aria-live", "polite");
    document.querySelector("main").append(told);
    document.addEventListener("click", async function (event) {
      const button = event.target instanceof Element ? event.target.closest("button.copy") : null;
      if (!button) { return; }
      const text = button.dataset.copy || new URL(button.dataset.copyAddress, location.href).href;
      let done = false;
      if (navigator.clipboard && window.isSecureContext) {
        try { await navigator.clipboard.writeText(text); done = true; } catch (refused) { done = false; }
      }
      if (!done && !select(text)) { window.prompt("", text); return; }
      const before = button.textContent;
      if (before === button.dataset.done) { return; }
      button.textContent = told.textContent = button.dataset.done;
      setTimeout(function () { button.textContent = before; told.textContent = ""; }, 1500);
    });
  }

  document.addEventListener("input", function () { typedAt = Date.now(); });
  document.addEventListener("DOMContentLoaded", function () {
    themeSwitch(document.getElementById("theme"));
    localTimes(document);
    keys();
    copying();
    const live = document.getElementById("live");
    if (live && window.htmx) { refreshing(live, document.getElementById("pulse")); }
    // A menu closes when one presses elsewhere, or Escape.
    document.addEventListener("click", function (event) {
      for (const menu of document.querySelectorAll("details.menu[open]")) { if (!menu.contains(event.target)) { menu.open = false; } }
    });
    document.addEventListener("keydown", function (event) {
      if (event.key !== "Escape") { return; }
      for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
    });
  });
})();

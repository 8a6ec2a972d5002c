document.documentElement.lang = "zh-CN";

const yiju = {
  one: (selector) => document.querySelector(selector),
  all: (selector) => [...document.querySelectorAll(selector)],
  params: () => new URLSearchParams(location.search),

  // --- the question: in the address, in the history of this tab -------------------------------
  // Ask a question as if it were typed; again() hands it to the server.
  ask(question, view) {
    yiju.wanted = question;
    yiju.busy(true);
    yiju.one(view === "compare" ? "#yj-compare-again" : "#yj-ask-again").click();
  },
  again: () => yiju.wanted,
  busy(on) { yiju.one("#yj-results")?.classList.toggle("yj-busy", on); },
  // New results are on the page: put the question into the address and show the first hit.
  asked() {
    const found = yiju.one("#yj-results .yj-found");
    yiju.busy(false);
    if (!found) return yiju.clear();
    const question = found.dataset.question, view = found.dataset.view || "";
    const params = yiju.params();
    const same = params.get("q") === question && (params.get("v") || "") === view;
    if (!same) {
      ["d", "p", "v"].forEach((name) => params.delete(name));
      params.set("q", question); if (view) params.set("v", view);
      history.pushState(null, "", `?${params}`);
    }
    document.title = `${question} — 依据`;
    yiju.remember(question);
    yiju.styles();
    const cards = yiju.all("#yj-results .yj-card[data-document]");
    const linked = same && cards.find((card) => card.dataset.number === params.get("p")
      && card.dataset.document.startsWith(params.get("d")));
    if (linked || !(same && params.get("d"))) {
      if (linked || cards[0]) yiju.choose(linked || cards[0], false); else yiju.clear();
    } else yiju.open(params.get("d"), params.get("p"));
  },
  remember(question) {
    const asked = yiju.recent().filter((each) => each !== question);
    sessionStorage.setItem("yiju-asked", JSON.stringify([question, ...asked].slice(0, 8)));
    yiju.showRecent();
  },
  recent() { try { return JSON.parse(sessionStorage.getItem("yiju-asked")) || []; } catch { return []; } },
  showRecent() {
    const box = yiju.one(".yj-recent"); if (!box) return;
    const asked = yiju.recent();
    box.replaceChildren(...(asked.length ? ["问过：", ...asked.map((question) => {
      const button = document.createElement("button");
      button.type = "button"; button.textContent = question; button.className = "yj-asked";
      return button;
    })] : []));
  },

  // --- the report beside the cards ------------------------------------------------------------
  clear() {
    yiju.all(".yj-card.chosen").forEach((card) => {
      card.classList.remove("chosen"); card.removeAttribute("aria-current"); });
    yiju.all(".yj-report p.chosen").forEach((passage) => {
      passage.classList.remove("chosen");
      if (passage.dataset.text !== undefined) passage.lastElementChild.textContent = passage.dataset.text; });
    yiju.strip();
  },
  // Mark a card, show its report and scroll to its passage there.
  async choose(card, byUser) {
    yiju.clear();
    card.classList.add("chosen"); card.setAttribute("aria-current", "true");
    const params = yiju.params();
    params.set("d", card.dataset.document.slice(0, 12)); params.set("p", card.dataset.number);
    if (params.get("q")) history.replaceState(null, "", `?${params}`);
    await yiju.open(card.dataset.document, card.dataset.number, card.querySelector(".yj-text").innerHTML);
    if (byUser && matchMedia("(max-width: 899px)").matches) yiju.one("#yj-report").scrollIntoView();
  },
  // Show a passage of a report, fetched if it is another than the one on the page.
  async open(sha256, number, marked) {
    const slot = yiju.one("#yj-report .yj-slot");
    if (!slot.querySelector(`.yj-book[data-document^="${CSS.escape(sha256)}"]`)) {
      const reply = await fetch(`report/${encodeURIComponent(sha256)}`);
      slot.innerHTML = await reply.text();
    }
    const passage = slot.querySelector(`p[data-number="${CSS.escape(number || "")}"]`);
    if (passage) {
      yiju.all(".yj-report p.chosen").forEach((other) => other.classList.remove("chosen"));
      passage.classList.add("chosen");
      if (marked) {
        passage.dataset.text = passage.lastElementChild.textContent;
        passage.lastElementChild.innerHTML = marked;
      }
      yiju.scroll(passage);
    }
    yiju.strip();
  },
  scroll(node) {
    const pane = node.closest(".yj-pane");
    pane.scrollTop += node.getBoundingClientRect().top - pane.getBoundingClientRect().top - 16;
  },
  // The hits in the report on the page, in the order they stand there.
  hits() {
    const shown = yiju.one(".yj-book")?.dataset.document;
    return yiju.all("#yj-results .yj-card[data-document]").filter((card) => card.dataset.document === shown)
      .sort((one, other) => one.dataset.number - other.dataset.number);
  },
  // Draw where the hits lie in the whole report and how strong they are.
  strip() {
    const strip = yiju.one(".yj-strip"), pane = yiju.one(".yj-pane");
    if (!strip || !pane) return;
    const hits = yiju.hits(), most = Math.max(...hits.map((card) => +card.dataset.score), 0.01);
    strip.replaceChildren(...hits.map((card) => {
      const passage = pane.querySelector(`p[data-number="${card.dataset.number}"]`);
      const tick = document.createElement("button");
      const rank = card.querySelector(".yj-rank")?.textContent;
      tick.type = "button";
      tick.setAttribute("aria-label", `${rank ? `第 ${rank} 名，` : ""}第 ${card.dataset.number} 段`);
      tick.title = tick.getAttribute("aria-label");
      tick.style.top = `${(passage?.offsetTop || 0) / pane.scrollHeight * 100}%`;
      tick.style.opacity = 0.35 + 0.65 * card.dataset.score / most;
      tick.classList.toggle("chosen", card.classList.contains("chosen"));
      tick.onclick = () => yiju.choose(card, false);
      return tick;
    }));
    const walk = yiju.one(".yj-walk"), at = hits.findIndex((card) => card.classList.contains("chosen"));
    walk.hidden = hits.length === 0;
    yiju.one(".yj-count").textContent = at < 0 ? `${hits.length} 处` : `第 ${at + 1} / ${hits.length} 处`;
    walk.querySelectorAll(".yj-step").forEach((step) => {
      step.disabled = !hits[at + Number(step.dataset.step)]; });
  },
  step(by) {
    const hits = yiju.hits(), at = hits.findIndex((card) => card.classList.contains("chosen"));
    const next = hits[Math.min(Math.max(at + by, 0), hits.length - 1)];
    if (next) yiju.choose(next, false);
  },

  // --- citations ------------------------------------------------------------------------------
  styles() {
    const chosen = localStorage.getItem("yiju-style");
    yiju.all(".yj-styles").forEach((select) => { if (chosen) select.value = chosen; });
  },
  async copy(button) {
    const style = button.closest(".yj-found, .yj-evidence")?.querySelector(".yj-styles")?.value || "文中注";
    const form = button.closest(".yj-cite").querySelector(`template[data-style="${style}"]`);
    const text = form.content.textContent;
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");  // no clipboard outside https and localhost
      area.value = text; document.body.append(area); area.select();
      document.execCommand("copy"); area.remove(); button.focus();
    }
    yiju.told(button, "已复制");
  },
  told(button, words) {
    const before = button.dataset.words ||= button.textContent;
    button.textContent = words; yiju.one(".yj-status").textContent = words;
    setTimeout(() => { button.textContent = before; }, 1500);
  },

  // --- evidence: kept in this browser until it is cleared -------------------------------------
  evidence() { try { return JSON.parse(localStorage.getItem("yiju-evidence")) || []; } catch { return []; } },
  save(items) { localStorage.setItem("yiju-evidence", JSON.stringify(items)); yiju.showEvidence(); },
  keep(button) {
    const card = button.closest(".yj-card"), items = yiju.evidence();
    const { document: d, number: p } = card.dataset;
    if (items.some((item) => item.d === d && item.p === Number(p))) return yiju.told(button, "已在证据里");
    items.push({ d, p: Number(p), q: yiju.one("#yj-results .yj-found")?.dataset.question || "",
      t: new Date().toISOString(), note: "", text: card.querySelector(".yj-text").textContent,
      cite: card.querySelector("cite").textContent });
    yiju.save(items); yiju.told(button, "已加入");
  },
  showEvidence() {
    const items = yiju.evidence(), list = yiju.one(".yj-evidence ol"); if (!list) return;
    const make = (tag, name, text) => Object.assign(document.createElement(tag), { className: name, textContent: text });
    list.replaceChildren(...items.map((item, at) => {
      const line = make("li", "yj-card", ""), buttons = make("span", "yj-buttons", "");
      for (const [words, act, off] of [
        ["上移", () => items.splice(at - 1, 0, ...items.splice(at, 1)), at === 0],
        ["下移", () => items.splice(at + 1, 0, ...items.splice(at, 1)), at === items.length - 1],
        ["移出", () => items.splice(at, 1), false]]) {
        const button = make("button", "", words);
        button.type = "button"; button.disabled = off;
        button.setAttribute("aria-label", `${words}第 ${at + 1} 条`);
        button.onclick = () => { act(); yiju.save(items); };
        buttons.append(button);
      }
      const note = make("textarea", "", item.note);
      note.rows = 1; note.placeholder = "批注"; note.maxLength = 2000;
      note.setAttribute("aria-label", `第 ${at + 1} 条的批注`);
      note.oninput = () => { item.note = note.value; localStorage.setItem("yiju-evidence", JSON.stringify(items)); };
      const top = make("div", "yj-top", "");
      top.append(make("span", "yj-rank", at + 1), make("span", "", item.q), buttons);
      line.append(top, make("div", "yj-text", item.text), make("cite", "yj-told", item.cite), note);
      return line;
    }));
    yiju.one(".yj-none").hidden = items.length > 0;
    yiju.all(".yj-export, .yj-empty").forEach((button) => { button.disabled = items.length === 0; });
  },
  async export(button) {
    const sent = yiju.evidence().map(({ d, p, q, t, note }) => ({ d, p, q, t, note }));
    const reply = await fetch(`evidence/${button.dataset.format}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent) });
    if (!reply.ok) { yiju.one(".yj-status").textContent = await reply.text();
      return alert(yiju.one(".yj-status").textContent); }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await reply.blob());
    link.download = `证据.${button.dataset.format}`; link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  },

  // --- the library ----------------------------------------------------------------------------
  remove(button) {
    if (!confirm(`从资料库移除《${button.dataset.title}》？原文件不受影响。`)) return;
    yiju.removing = Number(button.dataset.id);
    yiju.one("#yj-remove").click();
  },

  // --- the first moment: Gradio may hear nothing until the page has loaded ---------------------
  ready() {
    document.documentElement.dataset.ready = "";
    const held = yiju.held; yiju.held = null;
    try { yiju.showRecent(); yiju.showEvidence(); yiju.styles(); } finally { held?.(); }
  },
  // Hold the question that is asked until then, the last if there are several.
  hold(event) {
    if ("ready" in document.documentElement.dataset || event.isComposing || event.keyCode === 229) return;
    const entered = event.key === "Enter" && event.target.closest?.("#yj-question");
    const pressed = event.type === "click" && event.target.closest?.("#yj-ask, #yj-each, .yj-examples button");
    if (!entered && !pressed) return;
    event.preventDefault(); event.stopImmediatePropagation();
    const question = yiju.one("#yj-question :is(textarea, input)").value;  // loading may put another there
    yiju.held = pressed && !pressed.id ? () => pressed.click()
      : () => yiju.ask(question, pressed?.id === "yj-each" ? "compare" : "");
  },
};

["click", "keydown", "keypress"].forEach((kind) => document.addEventListener(kind, yiju.hold, true));
document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest?.(selector);
  const within = on(".yj-card");
  let button;
  if ((button = on(".yj-copy"))) return yiju.copy(button);
  if ((button = on(".yj-keep"))) return yiju.keep(button);
  if ((button = on(".yj-step"))) return yiju.step(Number(button.dataset.step));
  if ((button = on(".yj-asked"))) return yiju.ask(button.textContent, "");
  if ((button = on(".yj-export"))) return yiju.export(button);
  if ((button = on(".yj-remove"))) return yiju.remove(button);
  if (on(".yj-empty")) { if (confirm("清空全部证据？")) yiju.save([]); return; }
  if ((button = on(".yj-outline button"))) return yiju.scroll(
    yiju.one(`.yj-report [data-heading="${button.dataset.heading}"]`));
  if (on(".yj-jump") && within.closest("#yj-draft")) {
    yiju.one("#yj-tabs button[role=tab]").click();
    return setTimeout(() => yiju.choose(within, true));
  }
  if (on(".yj-also, .yj-styles, .yj-checked:not(.yj-jump)") && !on(".yj-jump")) return;
  if (within?.dataset.document && (on(".yj-jump") || !String(getSelection()))) yiju.choose(within, true);
});
document.addEventListener("change", (event) => {
  if (!event.target.matches?.(".yj-styles")) return;
  localStorage.setItem("yiju-style", event.target.value); yiju.styles();
});
// Enter that confirms a pinyin candidate is not a question.
["keydown", "keypress"].forEach((kind) => document.addEventListener(kind, (event) => {
  if (event.isComposing || event.keyCode === 229) event.stopImmediatePropagation();
}, true));
// ↓ goes from the question to the chosen card, / back to the question.
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, textarea, select, [contenteditable]");
  if (event.key === "ArrowDown" && event.target.closest?.("#yj-question")) {
    const card = yiju.one("#yj-results .yj-card.chosen") || yiju.one("#yj-results .yj-card");
    if (card) { event.preventDefault(); card.querySelector("button")?.focus(); }
  } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault(); yiju.one("#yj-question :is(textarea, input)")?.focus();
  }
});
addEventListener("popstate", () => {
  const params = yiju.params();
  if (params.get("q")) yiju.ask(params.get("q"), params.get("v") || "");
});

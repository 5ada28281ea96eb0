// <orderwire-rep-card src=".../portal/card" token="...">what stands there until the card does</orderwire-rep-card>
// What comes from afar is only ever set as text, or as an address of a kind that is known.
const KINDS = { call: ["phone", "tel", /^tel:/], mobile: ["mobile", "mobile_tel", /^tel:/], write: ["email", "mailto", /^mailto:/] };

const make = (name, part, text, ...inside) => {
  const made = document.createElement(name);
  if (part) made.part = part;
  if (text) made.textContent = text;
  made.append(...inside);
  return made;
};

const isolated = (text) => make("bdi", "", text);

const line = (rep, kind, words) => {
  const [text, address, good] = KINDS[kind];
  if (!rep[text]) return "";
  if (!good.test(rep[address])) return make("p", "", "", isolated(rep[text]));
  const link = make("a", "link", "", isolated(rep[text]));
  link.href = rep[address];
  link.ariaLabel = words[kind].replace("{name}", () => rep.name).replace("{number}", () => rep[text]);
  return make("p", "", "", link);
};

const person = (rep, words) => {
  const item = make("li", "rep");
  if (/^https:/.test(rep.photo)) {
    const how = { alt: "", width: 64, height: 64, loading: "lazy", referrerPolicy: "no-referrer" };
    item.append(Object.assign(make("img", "photo"), how, { src: rep.photo }));
  }
  item.append(make("h3", "name", "", isolated(rep.name)));
  if (rep.title) item.append(make("p", "role", "", isolated(rep.title)));
  if (rep.partner) item.append(make("p", "partner", words.partner, ...(rep.firm ? [": ", isolated(rep.firm)] : [])));
  if (rep.presence) item.append(make("p", "presence", rep.presence));
  item.append(...Object.keys(KINDS).map((kind) => line(rep, kind, words)));
  if (rep.speaks.length) item.append(make("p", "languages", `${words.speaks}: ${rep.speaks.join(", ")}`));
  return item;
};

const field = (kind, how, label) =>
  make("p", "", "", make("label", "", `${label} `, Object.assign(make(kind, "field"), how)));

class RepCard extends HTMLElement {
  static observedAttributes = ["src", "token"];
  #turn = 0;

  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: "open" }).append(make("slot"));
    this.#load();
  }

  attributeChangedCallback() {
    if (this.shadowRoot) this.#load();
  }

  #ask(address, method = "GET", body) {
    const headers = { Authorization: `Bearer ${this.getAttribute("token")}` };
    if (body) headers["Content-Type"] = "application/json";
    return fetch(address, { method, body, headers, credentials: "omit", referrerPolicy: "no-referrer" });
  }

  async #load() {
    const turn = ++this.#turn;
    const src = this.getAttribute("src");
    if (!src || !this.getAttribute("token")) return;
    try {
      const answer = await this.#ask(src);
      const card = await answer.json();
      if (!answer.ok || card.version !== 1) throw card.error;
      if (turn === this.#turn) this.#show(card, new URL(src, document.baseURI));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("orderwire-failed", { detail: String(error) }));
    }
  }

  #show(card, src) {
    const style = Object.assign(make("link"), { rel: "stylesheet", href: new URL("rep-card.css", src) });
    const list = make("ul", "list", "", ...card.reps.map((rep) => person(rep, card.words)));
    const section = make("section", "card", "", make("h2", "heading", card.words.heading), list);
    Object.assign(section, { className: "orderwire-card", lang: card.language, ariaLabel: card.words.heading });
    if (card.requests) section.append(this.#form(card.words, new URL("request", src)));
    this.shadowRoot.replaceChildren(style, section);
  }

  #form(words, address) {
    const button = (value) => Object.assign(make("button", "button", words[`${value}_me`]), { value });
    const said = make("p", "said");
    said.setAttribute("role", "status");
    const phone = field("input", { name: "phone", type: "tel", maxLength: 50, autocomplete: "tel" }, words.phone);
    const text = field("textarea", { name: "text", rows: 3, maxLength: 2000 }, words.text);
    const form = make("form", "form", "", phone, text, make("p", "", "", button("call"), " ", button("write")), said);
    let busy = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      const body = { kind: event.submitter?.value, phone: form.phone.value, text: form.text.value };
      try {
        const answer = await this.#ask(address, "POST", JSON.stringify(body));
        said.textContent = (await answer.json()).message || words.failed;
        if (answer.ok) form.reset();
      } catch {
        said.textContent = words.failed;
      }
      busy = false;
    });
    return make("details", "ask", "", make("summary", "summary", words.ask), form);
  }
}

customElements.get("orderwire-rep-card") || customElements.define("orderwire-rep-card", RepCard);

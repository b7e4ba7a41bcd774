// What the page of /ui does: asks the same routes as everybody else, once a second, and draws what they say. Whatever comes
// from a worker or a submitter is put in as text, never as markup.

extension InterfacePage {
    /// The script. Its hash is in the page's policy, so a script that is not in here does not run.
    static let script = #"""
        "use strict";
        // Everything that comes from the cluster goes into the page as text, never as markup.
        const $ = id => document.getElementById(id);
        const put = (node, text) => { text = String(text); if (node.textContent !== text) node.textContent = text; };
        const show = (node, on) => { node.toggleAttribute("hidden", !on); };
        const el = (tag, name, ...children) => {
          const node = document.createElement(tag);
          if (name) node.className = name;
          node.append(...children);
          return node;
        };
        const svg = (tag, attributes, text) => {
          const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
          for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
          if (text !== undefined) node.textContent = text;
          return node;
        };
        const count = n => n < 1e7 ? n.toLocaleString("en") : (n / 1e6).toLocaleString("en", { maximumFractionDigits: 1 }) + " M";
        const rateText = r => r === undefined ? "" : (r < 10 ? r.toFixed(1) : count(Math.round(r))) + "/s";
        const span = s => {
          s = Math.max(0, Math.round(s));
          if (s < 60) return s + " s";
          if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
          if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
          return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
        };
        const cut = (text, most) => [...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text;
        const plural = (n, word) => n + " " + word + (n === 1 ? "" : "s");
        const bytes = n => n >= 2 ** 30 ? (n / 2 ** 30).toFixed(n < 10 * 2 ** 30 ? 1 : 0) + " GiB" : Math.round(n / 2 ** 20) + " MiB";
        const part = (done, total) => total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
        const bar = node => node.firstChild || node.appendChild(document.createElement("i"));
        const fill = (node, ratio) => { bar(node).style.width = (100 * ratio).toFixed(1) + "%"; };

        // Lists keep their nodes from poll to poll, so that a selection or a scroll position is not lost.
        const keyed = (parent, items, key, create, update) => {
          const old = new Map([...parent.children].map(node => [node.dataset.key, node]));
          items.forEach((item, place) => {
            const name = String(key(item));
            const node = old.get(name) || create(item);
            old.delete(name);
            node.dataset.key = name;
            update(node, item, place);
            if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] || null);
          });
          old.forEach(node => node.remove());
        };

        // Rates are what changed over the last seconds of this page's own polls.
        const seen = new Map();
        const WINDOW = 12000;
        const rateOf = (name, value) => {
          const now = performance.now();
          let past = seen.get(name) || [];
          if (past.length && value < past[past.length - 1].value) past = [];
          past.push({ at: now, value });
          while (past.length > 2 && now - past[0].at > WINDOW) past.shift();
          seen.set(name, past);
          const passed = now - past[0].at;
          return passed < 900 ? undefined : (value - past[0].value) / passed * 1000;
        };

        const isOpen = job => ["queued", "admitted", "running"].includes(job.state);
        const phaseText = p => {
          const layer = "layer " + Math.min(p.layer + 1, Math.max(p.layers, 1)) + " of " + p.layers;
          if (p.phase === "loading") return "loading";
          if (p.phase === "decode") return "decode, token " + Math.min(p.step + 1, Math.max(p.steps, 1)) + " of " + p.steps;
          return p.phase + ", " + (p.layers > 1 ? layer + ", " : "") + "hop " + Math.min(p.step + 1, Math.max(p.steps, 1)) + " of " + p.steps;
        };
        const ratio = job => {
          const p = job.progress;
          if (job.state === "succeeded") return 1;
          if (!p) return 0;
          return p.phase === "decode" ? part(p.step, p.steps) : part(p.tokens_done, p.tokens_total);
        };
        const measure = job => {
          const p = job.progress;
          if (!p || !isOpen(job) || p.phase === "loading") return;
          if (p.phase === "decode") { job.rate = rateOf("d" + job.id + "." + job.attempt, job.tokens_generated); return; }
          job.rate = rateOf("p" + job.id + "." + job.attempt + p.phase, p.tokens_done);
          if (job.rate > 0) job.left = (p.tokens_total - p.tokens_done) / job.rate;
        };

        const isSlow = worker => worker.health === "slow";
        const healthOf = worker => worker.health !== "ok" && !isSlow(worker) ? worker.health : worker.job ? "busy" : "idle";
        const paceText = pace => "pace " + pace.toFixed(2);
        const drawTiles = (cluster, jobs, workers) => {
          const { jobs: j, totals: t } = cluster;
          put($("version"), "version " + cluster.version + " · up " + span(cluster.uptime_seconds) + " · epoch " + cluster.epoch
            + (cluster.encrypts_data_plane ? " · data plane encrypted" : ""));
          show($("draining"), cluster.is_draining);
          put($("t-workers"), workers.length);
          const states = ["idle", "busy", "suspected", "draining"].map(word => [workers.filter(w => healthOf(w) === word).length, word]);
          states.push([workers.filter(isSlow).length, "slow"]);
          put($("t-workers-more"), states.filter(([n]) => n > 0).map(([n, word]) => n + " " + word).join(" · ") || "none has joined");
          put($("t-running"), j.running);
          put($("t-running-more"), j.admitted ? plural(j.admitted, "job") + " loading" : "none loading");
          const open = j.queued + j.admitted + j.running;
          put($("t-queue"), j.queued);
          put($("t-queue-more"), open + " of " + cluster.queue_limit + " places taken");
          fill($("t-queue-bar"), part(open, cluster.queue_limit));
          const rate = rateOf("all", t.tokens_generated);
          const prefill = jobs.filter(job => job.rate > 0 && job.progress.phase !== "decode")
            .reduce((sum, job) => sum + job.rate, 0);
          put($("t-rate"), !rate ? "0" : rate < 10 ? rate.toFixed(1) : count(Math.round(rate)));
          put($("t-rate-more"), "generated; " + (prefill ? count(Math.round(prefill)) + "/s read" : count(t.tokens_generated) + " in all"));
          put($("t-settled"), t.jobs_succeeded + t.jobs_failed + t.jobs_cancelled);
          put($("t-settled-more"), t.jobs_succeeded + " succeeded · " + t.jobs_failed + " failed · " + t.jobs_cancelled + " cancelled · "
            + (t.retries === 1 ? "1 retry" : t.retries + " retries"));
        };

        const drawWorkers = workers => {
          show($("workers-none"), !workers.length);
          put($("workers-more"), workers.length > 64 ? "64 of " + workers.length + ", suspected ones first" : "");
          const order = w => w.health === "ok" ? 2 : isSlow(w) ? 1 : 0;
          const shown = workers.length > 64 ? [...workers].sort((a, b) => order(a) - order(b)).slice(0, 64) : workers;
          keyed($("workers"), shown, w => w.id, () => el("li", "", el("span", "name"), el("span", "pill"), el("span", "muted"),
            el("span", "facts")), (node, w) => {
            const [name, pill, work, facts] = node.children;
            const r = w.registration;
            put(name, r.name);
            name.title = r.name;
            const state = healthOf(w);
            put(pill, state === "suspected" ? "silent for " + w.silent_seconds.toFixed(1) + " s" : state + (isSlow(w) ? ", slow" : ""));
            pill.className = "pill " + (isSlow(w) ? "slow" : { busy: "running", idle: "ok" }[state] || state);
            const p = w.progress, share = p && p.phase !== "decode" ? " · " + Math.floor(100 * part(p.tokens_done, p.tokens_total)) + " %" : "";
            put(work, w.job ? "job " + w.job + (w.rank === undefined ? "" : ", rank " + w.rank) + share : "");
            put(facts, [...(w.pace === undefined ? [] : [paceText(w.pace)]), r.machine, r.isa, plural(r.cpus, "core"), plural(r.numa_nodes, "NUMA node"), bytes(r.memory_bytes),
              r.data_host + ":" + r.data_port].join(" · "));
          });
        };

        const drawJobs = (jobs, now) => {
          show($("jobs-none"), !jobs.length);
          show($("jobs").parentNode, jobs.length > 0);
          put($("jobs-more"), jobs.length ? "open ones, then the newest" : "");
          const settled = job => job.state === "running" ? 0 : job.state === "admitted" ? 1 : 2;
          const labels = ["", "", "owner", "tokens", "workers", "", "", ""];
          const create = () => {
            const row = el("tr", "", ...labels.map(label => {
              const cell = el("td", "", document.createTextNode(""), el("small"));
              if (label) cell.dataset.label = label;
              return cell;
            }));
            [3, 6, 7].forEach(place => row.children[place].classList.add("number"));
            row.children[1].replaceChildren(el("span", "pill"), el("small"));
            row.children[5].replaceChildren(el("meter-bar"), el("small"));
            return row;
          };
          const write = (cell, text, small) => { cell.firstChild.data = text; put(cell.lastChild, small || ""); };
          const sorted = [...jobs].sort((a, b) => settled(a) - settled(b) || b.id - a.id);
          keyed($("jobs"), sorted, job => job.id, create, (row, job) => {
            const cells = row.children;
            write(cells[0], "#" + job.id, job.kind);
            put(cells[1].firstChild, job.state);
            cells[1].firstChild.className = "pill " + job.state;
            put(cells[1].lastChild, job.attempt > 1 ? "attempt " + job.attempt + " of " + (job.retries + 1) : "");
            write(cells[2], job.owner || "–", job.priority ? "priority " + job.priority : "");
            write(cells[3], count(job.tokens), job.tokens_generated ? "+" + count(job.tokens_generated) + " new" : "");
            const names = job.workers || [];
            const more = names.length > 4 ? " and " + (names.length - 4) + " more" : "";
            write(cells[4], names.length ? names.slice(0, 4).map(name => cut(name, 18)).join(", ") + more : "–");
            cells[4].title = names.join(", ");
            const [meter, note] = cells[5].children;
            show(meter, job.state !== "failed" && job.state !== "cancelled");
            fill(meter, ratio(job));
            const failure = job.failure;
            const late = job.straggler ? ", waits for " + job.straggler.worker + " (" + paceText(job.straggler.pace) + ")" : "";
            put(note, failure ? failure.code + ": " + failure.message : job.progress && isOpen(job) ? phaseText(job.progress) + late : "");
            note.className = failure ? "bad" : "";
            write(cells[6], rateText(job.rate), job.left > 0 ? span(job.left) + " left" : "");
            const end = job.settled_at || now;
            write(cells[7], span(end - (job.started_at || job.submitted_at)), job.settled_at ? span(now - job.settled_at) + " ago" : "");
          });
        };

        const drawQueue = (jobs, now) => {
          const queued = [...jobs].sort((a, b) => b.priority - a.priority || a.id - b.id);
          show($("queue-none"), !queued.length);
          const more = queued.length > 20 ? "; 20 of " + queued.length : "";
          put($("queue-more"), queued.length ? "by priority, then age; owners take turns" + more : "");
          keyed($("queue"), queued.slice(0, 20), job => job.id,
            () => el("li", "", el("span", "place"), el("b"), el("span"), el("span", "muted")), (node, job, place) => {
              const [at, id, what, wait] = node.children;
              put(at, place + 1 + ".");
              put(id, "#" + job.id);
              put(what, [job.kind, job.owner || "–", "priority " + job.priority, count(job.tokens) + " tokens",
                job.wanted_workers ? plural(job.wanted_workers, "worker") : "any number of workers"].join(" · "));
              put(wait, "waits for " + span(now - job.submitted_at));
            });
        };

        const spot = (angle, radius) => [280 + radius * Math.sin(angle), 200 - radius * Math.cos(angle)];
        const ringRadius = 132;

        // Whose shard a rank attends to: ranks go round their own group of near workers first, then round the group before it.
        const shardOf = (job, rank, step) => {
          const total = job.workers.length, n = job.group_size || total, groups = total / n;
          const group = (Math.floor(rank / n) - Math.floor(step / n) % groups + groups) % groups;
          return group * n + (rank % n - step % n + n) % n;
        };

        // One hop: an arc to the next rank with a head on its end.
        const drawHop = (picture, from, to, gap, isNow) => {
          const [x1, y1] = spot(from + gap, ringRadius), [x2, y2] = spot(to - gap, ringRadius);
          const mark = isNow ? " now" : "";
          const large = to - from > Math.PI + 2 * gap ? 1 : 0;
          picture.append(svg("path", { class: "hop" + mark, d: `M${x1} ${y1}A${ringRadius} ${ringRadius} 0 ${large} 1 ${x2} ${y2}` }));
          const turn = (to - gap) * 180 / Math.PI;
          picture.append(svg("path", { class: "head" + mark, d: "M4 0L-8 -6L-8 6Z", transform: `translate(${x2} ${y2}) rotate(${turn})` }));
        };
        const drawNode = (picture, job, rank, angle, size, worker) => {
          const total = job.workers.length, p = worker && worker.progress, name = job.workers[rank];
          const [x, y] = spot(angle, ringRadius), round = 2 * Math.PI * size;
          const group = svg("g", { class: "place" });
          const late = worker && isSlow(worker);
          group.append(svg("title", {}, name + ", rank " + rank + (late ? ", slow" : "") + (p ? ": " + phaseText(p) : "")));
          const mark = late || worker && worker.health === "suspected" ? " lost" : "";
          group.append(svg("circle", { class: "node" + mark, cx: x, cy: y, r: size }));
          const done = p ? (p.phase === "decode" ? ratio(job) : part(p.tokens_done, p.tokens_total)) * round : 0;
          if (done > 0) group.append(svg("circle", { class: "done", cx: x, cy: y, r: size, "stroke-dasharray": `${done} ${round}`,
            transform: `rotate(-90 ${x} ${y})` }));
          if (size >= 9) group.append(svg("text", { class: size > 14 ? "rank" : "small", x, y: y + 5 }, rank));
          if (total <= 16) {
            const [lx, ly] = spot(angle, ringRadius + size + 12);
            const side = Math.abs(Math.sin(angle)) < 0.3 ? "" : Math.sin(angle) > 0 ? " start" : " end";
            const up = Math.cos(angle), shift = up > 0.9 ? -14 : up < -0.9 ? 12 : 0;
            group.append(svg("text", { x: lx, y: ly + shift, class: "label" + side }, cut(name, 13)));
            const holds = p && total > 1 && (p.phase === "prefill" || p.phase === "attend");
            if (holds) group.append(svg("text", { x: lx, y: ly + shift + 15, class: "small" + side },
              "has shard " + shardOf(job, rank, p.step)));
          }
          picture.append(group);
        };
        const drawRing = (running, workers) => {
          const picture = $("ring"), choice = $("chosen");
          show(picture, running.length > 0);
          show($("ring-none"), !running.length);
          show(choice, running.length > 0);
          show($("ring-note"), running.length > 0);
          if (!running.length) { picture.replaceChildren(); return; }
          keyed(choice, running, job => job.id, () => el("option"), (node, job) => {
            node.value = job.id;
            put(node, "#" + job.id + " " + job.kind + ", " + count(job.tokens) + " tokens");
          });
          const job = running.find(job => String(job.id) === choice.value) || running[0];
          choice.value = job.id;
          const total = job.workers.length, turn = 2 * Math.PI / Math.max(total, 1), p = job.progress;
          const size = total <= 8 ? 24 : total <= 16 ? 18 : total <= 32 ? 9 : 4;
          const byName = new Map(workers.map(worker => [worker.registration.name, worker]));
          const moves = p && (p.phase === "prefill" || p.phase === "attend") && total > 1;
          // The animation of the arcs would start anew each second: a picture that says the same stays.
          const state = JSON.stringify([job.id, job.workers, job.rate && rateText(job.rate), p, job.workers.map(name => byName.get(name))
            .map(w => w && [w.health, w.progress])]);
          if (picture.dataset.state === state) return;
          picture.dataset.state = state;
          picture.replaceChildren();
          const gap = (size + 7) / ringRadius;
          const members = job.group_size || total, inGroups = members < total;
          if (total > 1) for (let rank = 0; rank < total; rank++) {
            drawHop(picture, rank * turn, (rank + 1) * turn, Math.min(gap, turn / 3), moves && !(inGroups && (rank + 1) % members === 0));
          }
          if (inGroups) for (let last = members - 1; last < total; last += members) {
            const [x1, y1] = spot(last * turn, ringRadius - size - 4), [x2, y2] = spot((last - members + 1) * turn, ringRadius - size - 4);
            picture.append(svg("path", { class: "hop" + (moves ? " now" : ""), d: `M${x1} ${y1}Q280 200 ${x2} ${y2}` }));
          }
          if (p && p.phase === "decode") for (let rank = 1; rank < total; rank++) {
            const [x1, y1] = spot(rank * turn, ringRadius - size - 4), [x2, y2] = spot(0, ringRadius - size - 4);
            picture.append(svg("path", { class: "hop now", d: `M${x1} ${y1}Q280 200 ${x2} ${y2}` }));
          }
          for (let rank = 0; rank < total; rank++) drawNode(picture, job, rank, rank * turn, size, byName.get(job.workers[rank]));
          const lines = !p ? ["starting"] : p.phase === "loading" ? ["loading"] : p.phase === "decode"
            ? ["decode", "token " + Math.min(p.step + 1, Math.max(p.steps, 1)) + " of " + p.steps]
            : [p.phase, "hop " + Math.min(p.step + 1, Math.max(p.steps, 1)) + " of " + p.steps,
              p.layers > 1 ? "layer " + Math.min(p.layer + 1, p.layers) + " of " + p.layers : ""];
          if (job.rate !== undefined) lines.push(rateText(job.rate).replace("/s", " tokens/s"));
          lines.filter(line => line).forEach((line, place) => picture.append(svg("text", {
            class: place ? "small halo" : "big halo", x: 280, y: 190 + 20 * place }, line)));
          put($("ring-note"), moves && inGroups
            ? "Keys and values go round each group of " + members + " near workers, and from group to group once a round."
            : moves ? "Keys and values go to the next rank at each hop; each rank attends to the shard it has."
            : p && p.phase === "decode" ? "Rank 0 leads: each rank attends over what it holds, rank 0 merges."
            : "Each rank loads its part and connects to its neighbours.");
        };

        let key = sessionStorage.getItem("ringmaster-key") || "";
        class Refused extends Error {}
        const get = async path => {
          // With a key of its own the page asks for nothing in the browser's name, so that a wrong key brings up no prompt of the browser.
          const own = key ? { headers: { Authorization: "Bearer " + key }, credentials: "omit" } : {};
          const answer = await fetch(path, { ...own, cache: "no-store", signal: AbortSignal.timeout(5000) });
          if (answer.status === 401 || answer.status === 403) throw new Refused(answer.status === 403 ? "This key may not read." : "");
          if (!answer.ok) throw new Error(path + " answered " + answer.status);
          return answer.json();
        };
        let lastAnswer = 0;
        const link = (mark, text) => { $("link").className = "link " + mark; put($("link"), text); };
        const poll = async () => {
          const list = query => get("v1/jobs?" + query).then(answer => answer.jobs);
          const [cluster, { workers }, newest, queued, admitted, running] = await Promise.all([get("v1/cluster"), get("v1/workers"),
            list("limit=50"), list("state=queued&limit=256"), list("state=admitted&limit=256"), list("state=running&limit=256")]);
          const now = cluster.started_at + cluster.uptime_seconds;
          // A job may have moved on between two answers: what is open comes first, the newest settled ones behind it.
          const jobs = [...new Map([...newest, ...admitted, ...running].map(job => [job.id, job])).values()];
          running.forEach(measure);
          drawTiles(cluster, running, workers);
          drawWorkers(workers);
          drawJobs(jobs.filter(job => job.state !== "queued"), now);
          drawQueue(queued, now);
          drawRing(running, workers);
          const alive = new Set(running.map(job => job.id + "."));
          for (const name of seen.keys()) if (name !== "all" && ![...alive].some(id => name.startsWith(id, 1))) seen.delete(name);
        };
        let timer;
        const tick = async () => {
          try {
            await poll();
            lastAnswer = performance.now();
            link("live", "live");
            show($("ask"), false);
            show($("main"), true);
          } catch (error) {
            if (error instanceof Refused) {
              show($("ask"), true);
              show($("main"), false);
              put($("refusal"), key ? error.message || "This key is not known here." : "");
              link("", "waits for a key");
              return;
            }
            link("lost", lastAnswer ? "no answer for " + span((performance.now() - lastAnswer) / 1000) : "no answer");
          }
          timer = setTimeout(tick, document.hidden ? 5000 : 1000);
        };
        $("ask").addEventListener("submit", event => {
          event.preventDefault();
          key = $("key").value.trim();
          sessionStorage.setItem("ringmaster-key", key);
          $("key").value = "";
          clearTimeout(timer);
          tick();
        });
        $("chosen").addEventListener("change", () => { delete $("ring").dataset.state; });
        tick();
        """#
}

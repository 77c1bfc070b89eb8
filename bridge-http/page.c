// page.c - the console's page: links, the last records, and a live tail. Nothing inline, so that
// its policy can be strict; every text from the bus is set as text, never as markup.
#include "answer.h"
#include "handler.h"

static const unsigned char trace_script[] = {
#include "trace.js.inc"
};

static const char html[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>BHIV Bus</title>\n"
    "<link rel=\"stylesheet\" href=\"/console.css\">\n"
    "</head>\n"
    "<body>\n"
    "<h1>BHIV Bus</h1>\n"
    "<p>What is said on the bus, as it is said. This page only shows.</p>\n"
    "<nav>\n"
    "<a href=\"/status\">status</a>\n"
    "<a href=\"/bus/stats\">broker</a>\n"
    "<a href=\"/bus/peers\">peers</a>\n"
    "<a href=\"/bus/topics\">topics</a>\n"
    "<a href=\"/bus/events\">journal</a>\n"
    "<a href=\"/metrics\">metrics</a>\n"
    "<a href=\"/openapi.json\">openapi</a>\n"
    "</nav>\n"
    "<form id=\"choose\">\n"
    "<label>topic <input id=\"topic\" value=\"&gt;\" size=\"40\" spellcheck=\"false\"></label>\n"
    "<button>listen</button>\n"
    "<button type=\"button\" id=\"pause\">pause</button>\n"
    "<output id=\"state\">not connected</output>\n"
    "</form>\n"
    "<form id=\"follow\">\n"
    "<label>trace <input id=\"trace\" size=\"40\" maxlength=\"128\" spellcheck=\"false\">"
    "</label>\n"
    "<button>show</button>\n"
    "<a id=\"json\" hidden>as JSON</a>\n"
    "</form>\n"
    "<pre id=\"story\" hidden></pre>\n"
    "<table>\n"
    "<thead><tr><th>seq<th>time<th>topic<th>source<th>data</tr></thead>\n"
    "<tbody id=\"tail\"></tbody>\n"
    "</table>\n"
    "<script src=\"/console.js\"></script>\n"
    "<script src=\"/trace.js\"></script>\n"
    "</body>\n"
    "</html>\n";

static const char script[] =
    "'use strict';\n"
    "const ROWS_MAX = 200;\n"
    "const RECENT = 20;\n"
    "const RECENT_REACH = 200;\n"
    "const tail = document.getElementById('tail');\n"
    "const state = document.getElementById('state');\n"
    "const pause = document.getElementById('pause');\n"
    "let source = null;\n"
    "let round = 0;\n"
    "let held = null;\n"
    "function cell(row, text) {\n"
    "  const td = document.createElement('td');\n"
    "  td.textContent = text;\n"
    "  row.appendChild(td);\n"
    "  return td;\n"
    "}\n"
    "function show(event) {\n"
    "  if (held) {\n"
    "    held.push(event);\n"
    "    if (held.length > ROWS_MAX) { held.shift(); }\n"
    "    pause.textContent = 'resume (' + held.length + ')';\n"
    "    return;\n"
    "  }\n"
    "  const row = document.createElement('tr');\n"
    "  const place = cell(row, event.sequence || 'live');\n"
    "  if (event.traceid) {\n"
    "    const link = document.createElement('a');\n"
    "    link.textContent = place.textContent;\n"
    "    link.href = '#trace=' + encodeURIComponent(event.traceid);\n"
    "    link.title = 'trace ' + event.traceid;\n"
    "    place.replaceChildren(link);\n"
    "  }\n"
    "  cell(row, event.time);\n"
    "  cell(row, event.type);\n"
    "  cell(row, event.source);\n"
    "  cell(row, JSON.stringify(event.data));\n"
    "  tail.prepend(row);\n"
    "  while (tail.rows.length > ROWS_MAX) { tail.deleteRow(-1); }\n"
    "}\n"
    "function resume() {\n"
    "  const events = held || [];\n"
    "  held = null;\n"
    "  pause.textContent = 'pause';\n"
    "  events.forEach(show);\n"
    "}\n"
    "async function ask(path) {\n"
    "  const answer = await fetch(path);\n"
    "  const said = await answer.json();\n"
    "  if (!answer.ok) { throw new Error(said.message); }\n"
    "  return said;\n"
    "}\n"
    "// The last records that match, and where the live tail goes on behind them.\n"
    "async function recent(topic) {\n"
    "  const head = (await ask('/health')).broker.head;\n"
    "  const from = Math.max(1, head - RECENT_REACH + 1);\n"
    "  const query = '?limit=' + RECENT_REACH + '&topic=' + encodeURIComponent(topic);\n"
    "  if (head === 0) { await ask('/bus/events' + query); return 1; }\n"
    "  const page = await ask('/bus/events' + query + '&from=' + from);\n"
    "  page.events.slice(-RECENT).forEach((record) => show({\n"
    "    sequence: String(record.seq), time: record.at, type: record.topic,\n"
    "    source: record.source, data: record.data, traceid: record.trace_id,\n"
    "  }));\n"
    "  return page.next;\n"
    "}\n"
    "// An EventSource does not tell why it was refused.\n"
    "async function explain(url) {\n"
    "  const stop = new AbortController();\n"
    "  const answer = await fetch(url, {signal: stop.signal});\n"
    "  if (!answer.ok) { state.textContent = (await answer.json()).message; }\n"
    "  stop.abort();\n"
    "}\n"
    "async function listen(topic) {\n"
    "  const mine = ++round;\n"
    "  if (source) { source.close(); source = null; }\n"
    "  resume();\n"
    "  tail.replaceChildren();\n"
    "  state.textContent = 'connecting';\n"
    "  let from = '';\n"
    "  try {\n"
    "    from = '&from=' + await recent(topic);\n"
    "  } catch (error) {\n"
    "    if (mine !== round) { return; }\n"
    "    state.textContent = error.message;\n"
    "    if (error.message.startsWith('topic')) { return; }\n"
    "  }\n"
    "  if (mine !== round) { return; }\n"
    "  const url = '/events/stream?topic=' + encodeURIComponent(topic) + from;\n"
    "  const heard = source = new EventSource(url);\n"
    "  source.onopen = () => { state.textContent = 'listening'; };\n"
    "  source.onerror = () => {\n"
    "    state.textContent = 'not connected';\n"
    "    if (heard.readyState === EventSource.CLOSED) { explain(url); }\n"
    "  };\n"
    "  source.onmessage = (message) => show(JSON.parse(message.data));\n"
    "  source.addEventListener('dropped', (message) => {\n"
    "    state.textContent = 'some were dropped: ' + message.data;\n"
    "  });\n"
    "}\n"
    "pause.addEventListener('click', () => {\n"
    "  if (held) { resume(); } else { held = []; pause.textContent = 'resume'; }\n"
    "});\n"
    "document.getElementById('choose').addEventListener('submit', (event) => {\n"
    "  event.preventDefault();\n"
    "  listen(document.getElementById('topic').value);\n"
    "});\n"
    "listen('>');\n";

static const char style[] =
    ":root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }\n"
    "body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }\n"
    "nav a { margin-right: 1rem; }\n"
    "form { margin: 1rem 0; }\n"
    "table { border-collapse: collapse; width: 100%; font: 13px/1.4 ui-monospace, monospace; }\n"
    "th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; }\n"
    "pre { overflow-x: auto; font: 13px/1.4 ui-monospace, monospace; }\n"
    "td:last-child { overflow-wrap: anywhere; }\n"
    "td:not(:last-child) { white-space: nowrap; }\n";

void
bridge_page_html(bridge_request_t *self)
{
    bridge_answer_header(self,
                         "Content-Security-Policy",
                         "default-src 'none'; script-src 'self'; style-src 'self'; "
                         "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'");
    bridge_answer_header(self, "Referrer-Policy", "no-referrer");
    bridge_answer_static(self, "text/html; charset=utf-8", VIEW_LITERAL(html));
}

void
bridge_page_script(bridge_request_t *self)
{
    bridge_answer_static(self, "text/javascript; charset=utf-8", VIEW_LITERAL(script));
}

void
bridge_page_trace_script(bridge_request_t *self)
{
    bridge_answer_static(
        self, "text/javascript; charset=utf-8", view_from(trace_script, sizeof(trace_script)));
}

void
bridge_page_style(bridge_request_t *self)
{
    bridge_answer_static(self, "text/css; charset=utf-8", VIEW_LITERAL(style));
}

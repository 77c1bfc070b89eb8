// page.c - the console's page: links, and a live tail. Nothing inline, so that its policy can be
// strict; every text from the bus is set as text, never as markup.
#include "answer.h"
#include "handler.h"

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
    "<output id=\"state\">not connected</output>\n"
    "</form>\n"
    "<table>\n"
    "<thead><tr><th>seq<th>time<th>topic<th>source<th>data</tr></thead>\n"
    "<tbody id=\"tail\"></tbody>\n"
    "</table>\n"
    "<script src=\"/console.js\"></script>\n"
    "</body>\n"
    "</html>\n";

static const char script[] =
    "'use strict';\n"
    "const ROWS_MAX = 200;\n"
    "const tail = document.getElementById('tail');\n"
    "const state = document.getElementById('state');\n"
    "let source = null;\n"
    "function cell(row, text) {\n"
    "  const td = document.createElement('td');\n"
    "  td.textContent = text;\n"
    "  row.appendChild(td);\n"
    "}\n"
    "function show(event) {\n"
    "  const row = document.createElement('tr');\n"
    "  cell(row, event.sequence || 'live');\n"
    "  cell(row, event.time);\n"
    "  cell(row, event.type);\n"
    "  cell(row, event.source);\n"
    "  cell(row, JSON.stringify(event.data));\n"
    "  tail.prepend(row);\n"
    "  while (tail.rows.length > ROWS_MAX) { tail.deleteRow(-1); }\n"
    "}\n"
    "function listen(topic) {\n"
    "  if (source) { source.close(); }\n"
    "  tail.replaceChildren();\n"
    "  source = new EventSource('/events/stream?topic=' + encodeURIComponent(topic));\n"
    "  source.onopen = () => { state.textContent = 'listening'; };\n"
    "  source.onerror = () => { state.textContent = 'not connected'; };\n"
    "  source.onmessage = (message) => show(JSON.parse(message.data));\n"
    "  source.addEventListener('dropped', (message) => {\n"
    "    state.textContent = 'some were dropped: ' + message.data;\n"
    "  });\n"
    "}\n"
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
bridge_page_style(bridge_request_t *self)
{
    bridge_answer_static(self, "text/css; charset=utf-8", VIEW_LITERAL(style));
}

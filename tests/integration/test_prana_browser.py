"""prana.js in a real browser: states, scores, packets and delivery, by a clock that the tests turn.

The page stands on a port of its own, as a course's would, so what it sends to Bucket goes across
origins. Time is handed to the script: nothing here waits for what a turned clock can bring about.
"""

import functools
import http.server
import json
import shutil
import threading
import uuid

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from support.system import eventually

PAGE = """<!doctype html><meta charset="utf-8"><title>A lesson</title>
<style>body { margin: 0 } #panel { width: 700px; height: 300px } #long { height: 4000px }</style>
<main id="panel"><h1>Lesson</h1><input id="answer"><button id="check">check</button></main>
<aside><a id="elsewhere" href="#elsewhere">elsewhere</a></aside><div id="long"></div>
<script src="%s"></script><script src="/turned.js"></script>"""

# A clock that is turned, and servers that say what a test wants.
TURNED = """
class TurnedClock {
  constructor() { this.at = Date.UTC(2026, 0, 1, 12); this.timers = new Map(); this.number = 0; }
  now() { return this.at; }
  add(fn, ms, every) {
    this.timers.set(++this.number, {at: this.at + ms, every: every, fn: fn});
    return this.number;
  }
  setTimeout(fn, ms) { return this.add(fn, ms, 0); }
  setInterval(fn, ms) { return this.add(fn, ms, ms); }
  clearTimeout(timer) { this.timers.delete(timer); }
  clearInterval(timer) { this.timers.delete(timer); }
  async turn(ms) {
    const end = this.at + ms;
    for (;;) {
      let next = null;
      this.timers.forEach((timer, number) => {
        if (timer.at <= end && (next === null || timer.at < next.timer.at)) {
          next = {timer: timer, number: number};
        }
      });
      if (next === null) { break; }
      this.at = next.timer.at;
      if (next.timer.every > 0) { next.timer.at += next.timer.every; }
      else { this.timers.delete(next.number); }
      next.timer.fn();
      for (let i = 0; i < 8; i++) { await null; }
    }
    this.at = end;
  }
}
// Answers with the next of `statuses`, the last again and again: 0 breaks off, -1 says nothing.
class Server {
  constructor(clock, statuses) { this.clock = clock; this.statuses = statuses; this.asked = []; }
  fetch(url, options) {
    const status = this.statuses.length > 1 ? this.statuses.shift() : this.statuses[0];
    this.asked.push({at: this.clock.now(), url: url, method: options.method,
      headers: options.headers, packet: JSON.parse(options.body)});
    if (status > 0) { return Promise.resolve({status: status}); }
    if (status === 0) { return Promise.reject(new TypeError('no network')); }
    return new Promise((resolve, reject) => {
      options.signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
    });
  }
}
function begin(statuses, more) {
  window.clock = new TurnedClock();
  window.server = new Server(clock, statuses);
  window.startedAt = clock.now();
  window.prana = Prana.start(Object.assign({
    endpoint: 'http://bucket.example/bucket/prana/ingest', user_id: 'u', session_id: 's',
    system_type: 'gurukul', role: 'student', panel: document.getElementById('panel'),
  }, more), {clock: clock, fetch: (url, options) => server.fetch(url, options)});
}
function press() { document.getElementById('answer').dispatchEvent(
  new KeyboardEvent('keydown', {key: 'x', bubbles: true})); }
function click() { document.getElementById('check').dispatchEvent(
  new MouseEvent('click', {bubbles: true})); }
function move(x) { document.getElementById('panel').dispatchEvent(
  new MouseEvent('mousemove', {bubbles: true, clientX: x, clientY: 0})); }
function hide(hidden) {
  Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event('visibilitychange'));
}
function shelf() { return JSON.parse(localStorage.getItem('prana.offline') || '[]'); }
"""


class Pages(http.server.BaseHTTPRequestHandler):
    def __init__(self, script, *args):
        self.script = script
        super().__init__(*args)

    def do_GET(self):
        is_page = self.path == "/"
        body = (PAGE % self.script if is_page else TURNED).encode()
        self.send_response(200 if is_page or self.path == "/turned.js" else 404)
        self.send_header("Content-Type", "text/html" if is_page else "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module", name="pages")
def fixture_pages(shared_system):
    handler = functools.partial(Pages, shared_system.url("console", "/prana.js"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", name="browser")
def fixture_browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--window-size=900,700", f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    driver.set_script_timeout(60)
    driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    yield driver
    driver.quit()


@pytest.fixture(name="page")
def fixture_page(browser, pages):
    browser.get(pages)
    browser.execute_script("localStorage.clear()")
    return Page(browser)


class Page:
    def __init__(self, browser):
        self.browser = browser

    def value(self, expression):
        return self.browser.execute_script(f"return {expression}")

    def do(self, steps):
        """JavaScript that may await."""
        failed = self.browser.execute_async_script(
            f"const done = arguments[0]; (async () => {{ {steps} }})().then("
            "() => done(null), (error) => done(String(error.stack)));")
        assert failed is None, failed

    def begin(self, statuses=(200,), **more):
        self.do(f"begin({json.dumps(list(statuses))}, {json.dumps(more)})")

    def turn(self, ms):
        self.do(f"await clock.turn({ms})")

    def asked(self):
        return self.value("server.asked")

    def times(self):
        """When the server was asked, in milliseconds since the start."""
        return [asked["at"] - self.value("startedAt") for asked in self.asked()]

    def pending(self):
        return self.value("prana.delivery.pending.map((item) => item.packet)")

    def last(self):
        """The last packet that was made, sent or not."""
        return self.value("server.asked.concat(prana.delivery.pending).at(-1).packet")


# --- What a moment says: pure functions, known answers ---

CALM = {"tab_visible": True, "window_focus": True, "browser_hidden": False, "panel_focused": True,
        "idle_seconds": 0, "rapid_click_count": 0, "mouse_velocity": 0, "dwell_time_ms": 0,
        "inactivity_ms": 0}
DEEP = {"dwell_time_ms": 60001, "mouse_velocity": 299, "inactivity_ms": 9999}


@pytest.mark.parametrize(("signals", "deep_ms", "state"), [
    ({}, 0, "ON_TASK"),
    ({"tab_visible": False}, 0, "AWAY"),
    ({"window_focus": False}, 0, "AWAY"),
    ({"browser_hidden": True}, 0, "AWAY"),
    ({"tab_visible": False, "panel_focused": False, "idle_seconds": 900, "rapid_click_count": 9}, 0, "AWAY"),
    ({"panel_focused": False}, 0, "DISTRACTED"),
    ({"panel_focused": False, "idle_seconds": 900, "rapid_click_count": 9}, 0, "DISTRACTED"),
    ({"idle_seconds": 599}, 0, "ON_TASK"),
    ({"idle_seconds": 600}, 0, "IDLE"),
    ({"idle_seconds": 600, "rapid_click_count": 3}, 0, "IDLE"),
    ({"rapid_click_count": 2}, 0, "ON_TASK"),
    ({"rapid_click_count": 3}, 0, "OFF_TASK"),
    ({"mouse_velocity": 2500}, 0, "ON_TASK"),
    ({"mouse_velocity": 2501}, 0, "OFF_TASK"),
    ({**DEEP, "rapid_click_count": 3}, 20000, "OFF_TASK"),
    (DEEP, 14999, "ON_TASK"),
    (DEEP, 15000, "DEEP_FOCUS"),
    ({**DEEP, "dwell_time_ms": 60000}, 15000, "ON_TASK"),
    ({**DEEP, "mouse_velocity": 300}, 15000, "ON_TASK"),
    ({**DEEP, "inactivity_ms": 10000}, 15000, "ON_TASK"),
    ({**DEEP, "rapid_click_count": 1}, 15000, "ON_TASK"),
    ({**DEEP, "inactivity_ms": 3000, "mouse_velocity": 0}, 15000, "DEEP_FOCUS"),
    ({"inactivity_ms": 1001, "mouse_velocity": 199}, 0, "THINKING"),
    ({"inactivity_ms": 4999}, 0, "THINKING"),
    ({"inactivity_ms": 1000}, 0, "ON_TASK"),
    ({"inactivity_ms": 5000}, 0, "ON_TASK"),
    ({"inactivity_ms": 2000, "mouse_velocity": 200}, 0, "ON_TASK"),
    ({"inactivity_ms": 2000, "rapid_click_count": 1}, 0, "ON_TASK"),
])
def test_the_signals_of_a_moment_are_the_state_of_the_table(page, signals, deep_ms, state):
    signals = json.dumps({**CALM, **signals})
    assert page.value(f"Prana.pure.classify({signals}, {deep_ms})") == state


@pytest.mark.parametrize(("state", "signals", "active", "score"), [
    ("DEEP_FOCUS", {"dwell_time_ms": 90000}, 5, 95),
    ("ON_TASK", {"dwell_time_ms": 90000}, 5, 75),
    ("THINKING", {"dwell_time_ms": 90000}, 5, 65),
    ("DISTRACTED", {"dwell_time_ms": 90000}, 5, 30),
    ("IDLE", {"dwell_time_ms": 90000}, 5, 10),
    ("OFF_TASK", {"dwell_time_ms": 90000}, 5, 5),
    ("AWAY", {"dwell_time_ms": 90000}, 5, 0),
    ("SOMETHING", {"dwell_time_ms": 90000}, 5, 50),
    ("ON_TASK", {"dwell_time_ms": 90000, "tab_visible": False}, 5, 0),
    ("ON_TASK", {"dwell_time_ms": 29999}, 5, 65),
    ("ON_TASK", {"dwell_time_ms": 30000}, 5, 75),
    ("ON_TASK", {"dwell_time_ms": 30000, "mouse_velocity": 2000}, 5, 75),
    ("ON_TASK", {"dwell_time_ms": 30000, "mouse_velocity": 2001}, 5, 65),
    ("ON_TASK", {"dwell_time_ms": 30000, "rapid_click_count": 3}, 5, 60),
    ("ON_TASK", {"dwell_time_ms": 30000, "panel_focused": False}, 5, 55),
    ("DEEP_FOCUS", {"mouse_velocity": 2001, "rapid_click_count": 3, "panel_focused": False}, 5, 40),
    ("OFF_TASK", {"rapid_click_count": 3}, 5, 0),
    ("ON_TASK", {"dwell_time_ms": 30000}, 2.5, 38),
    ("ON_TASK", {"dwell_time_ms": 30000}, 0.1, 2),
    ("ON_TASK", {"dwell_time_ms": 30000}, 0, 0),
])
def test_the_focus_score_is_the_tables(page, state, signals, active, score):
    signals = json.dumps({**CALM, **signals})
    assert page.value(f"Prana.pure.focusScore('{state}', {signals}, {active})") == score


@pytest.mark.parametrize(("spent", "shares"), [
    ((5000, 0, 0), (5.0, 0.0, 0.0)),
    ((0, 5000, 0), (0.0, 5.0, 0.0)),
    ((2500, 1250, 1250), (2.5, 1.3, 1.2)),
    ((1000, 1000, 1000), (1.7, 1.7, 1.6)),
    ((4949, 51, 0), (4.9, 0.1, 0.0)),
    ((30000, 30000, 0), (2.5, 2.5, 0.0)),
    ((0, 0, 0), (5.0, 0.0, 0.0)),
])
def test_seconds_have_one_decimal_and_add_up_to_five(page, spent, shares):
    active, idle, away = spent
    got = page.value(f"Prana.pure.normalise({{active: {active}, idle: {idle}, away: {away}}})")
    assert (got["active_seconds"], got["idle_seconds"], got["away_seconds"]) == shares
    assert sum(round(share * 10) for share in shares) == 50


def test_a_state_stays_five_seconds_and_deep_focus_must_be_held_for_fifteen(page):
    states = page.value(f"""(() => {{
        const calm = {json.dumps(CALM)};
        const deep = Object.assign({{}}, calm, {json.dumps(DEEP)});
        const away = Object.assign({{}}, calm, {{window_focus: false}});
        const said = [];
        let machine = Prana.pure.firstState(0);
        [[4000, away], [5000, away], [6000, calm], [9999, calm], [10000, calm], [11000, deep],
         [25000, deep], [26000, deep], [27000, calm], [31000, calm], [32000, deep], [46000, deep],
         [47000, deep]].forEach(([now, signals]) => {{
          machine = Prana.pure.nextState(machine, signals, now);
          said.push(machine.state);
        }});
        return said; }})()""")
    assert states == ["ON_TASK", "AWAY", "AWAY", "AWAY", "ON_TASK", "ON_TASK", "ON_TASK",
                      "DEEP_FOCUS", "DEEP_FOCUS", "ON_TASK", "ON_TASK", "ON_TASK", "DEEP_FOCUS"]


# --- Each state, out of what happens at the page ---

def test_who_types_is_on_task(page):
    page.begin(lesson_id="l-1")
    page.do("for (let i = 0; i < 5; i++) { press(); await clock.turn(1000); }")
    packet = page.last()
    assert packet["cognitive_state"] == "ON_TASK"
    assert (packet["active_seconds"], packet["idle_seconds"], packet["away_seconds"]) == (5, 0, 0)
    assert packet["focus_score"] == 65  # 75, less 10 for the first half minute
    assert packet["raw_signals"]["keystroke_count"] == 5
    assert packet["timestamp"] == "2026-01-01T12:00:05.000Z"
    assert (packet["lesson_id"], packet["task_id"]) == ("l-1", None)


def test_who_pauses_thinks(page):
    page.begin()
    page.do("await clock.turn(2500); press(); await clock.turn(2500)")
    assert page.last()["cognitive_state"] == "THINKING"
    assert page.last()["focus_score"] == 55


def test_who_does_nothing_for_ten_minutes_is_idle(page):
    page.begin()
    page.turn(600000)
    packet = page.last()
    assert packet["cognitive_state"] == "IDLE" and packet["raw_signals"]["idle_seconds"] == 600
    page.turn(5000)
    packet = page.last()
    assert packet["idle_seconds"] == 5 and packet["focus_score"] == 0


def test_who_works_elsewhere_on_the_page_is_distracted_until_back(page):
    page.begin()
    ActionChains(page.browser).click(page.browser.find_element(By.ID, "elsewhere")).perform()
    page.turn(5000)
    assert page.last()["cognitive_state"] == "DISTRACTED"
    assert page.last()["raw_signals"]["panel_focused"] is False
    assert page.last()["focus_score"] == 0  # 30, less 10 and 20
    ActionChains(page.browser).click(page.browser.find_element(By.ID, "answer")).perform()
    page.turn(5000)
    assert page.last()["cognitive_state"] == "ON_TASK"


@pytest.mark.parametrize("leave", ["hide(true)", "window.dispatchEvent(new Event('blur'))"])
def test_who_leaves_is_away_and_dwells_anew_when_back(page, leave):
    page.begin()
    page.turn(30000)
    before = page.last()["raw_signals"]
    assert before["dwell_time_ms"] == 30000
    page.do(f"await clock.turn(1000); {leave}; await clock.turn(4000)")
    packet = page.last()
    assert packet["cognitive_state"] == "AWAY" and packet["focus_score"] == 0
    assert (packet["active_seconds"], packet["away_seconds"]) == (1, 4)
    assert packet["raw_signals"]["app_switches"] == 1 and packet["raw_signals"]["dwell_time_ms"] == 0
    page.do("hide(false); window.dispatchEvent(new Event('focus'));"
            "for (let i = 0; i < 5; i++) { press(); await clock.turn(1000); }")
    assert page.last()["cognitive_state"] == "ON_TASK"
    assert page.last()["raw_signals"]["dwell_time_ms"] == 5000


def test_who_clicks_wildly_is_off_task(page):
    page.begin()
    page.do("await clock.turn(4000); click(); click(); click(); await clock.turn(1000)")
    packet = page.last()
    assert packet["cognitive_state"] == "OFF_TASK" and packet["raw_signals"]["rapid_click_count"] == 3
    assert packet["focus_score"] == 0


def test_who_flings_the_mouse_is_off_task(page):
    page.begin()
    page.do("await clock.turn(4500); move(0); move(2600); await clock.turn(500)")
    packet = page.last()
    assert packet["cognitive_state"] == "OFF_TASK" and packet["raw_signals"]["mouse_velocity"] == 2600


def test_who_reads_on_calmly_comes_to_deep_focus(page):
    page.begin()
    page.do("for (let i = 0; i < 15; i++) { press(); await clock.turn(5000); }")
    states = [item["packet"]["cognitive_state"] for item in page.asked()]
    assert "DEEP_FOCUS" not in states + [packet["cognitive_state"] for packet in page.pending()]
    page.do("press(); await clock.turn(5000)")  # past 60 s of dwelling, held for 15 s
    packet = page.last()
    assert packet["cognitive_state"] == "DEEP_FOCUS" and packet["focus_score"] == 95


def test_real_keys_and_clicks_are_counted_and_never_read(page):
    page.begin()
    field = page.browser.find_element(By.ID, "answer")
    field.click()
    field.send_keys("hunter2")
    ActionChains(page.browser).move_to_element(page.browser.find_element(By.ID, "check")).click().perform()
    page.browser.execute_script("window.scrollTo(0, 10000)")
    page.do("await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));"
            "await clock.turn(5000)")
    packet = page.last()
    signals = packet["raw_signals"]
    assert signals["keystroke_count"] == 7 and signals["content_clicks"] == 2
    assert signals["mouse_events"] > 0 and signals["mouse_distance"] > 0
    assert signals["scroll_events"] > 0 and signals["scroll_depth"] == 100
    assert "hunter" not in json.dumps(packet)


def test_a_packet_has_the_fields_of_the_original(page):
    page.begin()
    page.turn(5000)
    packet = page.last()
    assert set(packet) == {
        "user_id", "session_id", "lesson_id", "task_id", "system_type", "role", "timestamp",
        "cognitive_state", "active_seconds", "idle_seconds", "away_seconds", "focus_score",
        "raw_signals"}
    assert set(packet["raw_signals"]) == {
        "timestamp", "window_focus", "browser_visibility", "browser_hidden", "tab_visible",
        "panel_focused", "task_tab_active", "keystroke_count", "mouse_events", "mouse_distance",
        "scroll_events", "content_clicks", "app_switches", "mouse_velocity", "scroll_depth",
        "hover_loops", "idle_seconds", "inactivity_ms", "dwell_time_ms", "rapid_click_count"}


# --- Delivery ---

def test_packets_go_in_batches_of_five_each_alone(page):
    page.begin()
    page.turn(24900)
    assert page.asked() == [] and len(page.pending()) == 4
    page.turn(100)
    asked = page.asked()
    assert page.times() == [25000] * 5 and page.pending() == []
    assert [one["packet"]["timestamp"] for one in asked] == [
        f"2026-01-01T12:00:{second:02}.000Z" for second in (5, 10, 15, 20, 25)]
    assert {one["method"] for one in asked} == {"POST"}
    for one in asked:
        assert one["headers"]["X-CLIENT-TIMESTAMP"] == one["packet"]["timestamp"]
        assert one["headers"]["Content-Type"] == "application/json"
    assert len({one["headers"]["Idempotency-Key"] for one in asked}) == 5


@pytest.mark.parametrize("status", [0, 500, 503, 429])
def test_a_failure_is_tried_again_after_one_two_and_four_seconds(page, status):
    page.begin([status])
    page.turn(32000)
    assert page.times() == [25000, 26000, 28000, 32000]
    assert len({one["headers"]["Idempotency-Key"] for one in page.asked()}) == 1
    assert len(page.value("shelf()")) == 6 and page.pending() == []


def test_a_server_that_says_nothing_is_left_after_ten_seconds(page):
    page.begin([-1])
    page.turn(25000 + 10000 + 1000 + 10000)
    assert page.times() == [25000, 36000]


def test_what_failed_is_kept_and_tried_again_every_half_minute_until_it_goes(page):
    page.begin([0] * 6 + [200])
    page.turn(59999)
    assert page.times() == [25000, 26000, 28000, 32000, 55000, 56000] + [58000] * 5
    kept = [item["packet"]["timestamp"] for item in page.value("shelf()")]
    assert kept == [f"2026-01-01T12:00:{second:02}.000Z" for second in (5, 10, 15, 20, 25, 30)]
    page.turn(1)
    assert page.times()[11:] == [60000] * 6 and page.value("shelf()") == []
    assert [one["packet"]["timestamp"] for one in page.asked()[11:]] == kept


def test_the_last_hundred_are_kept_for_the_next_page(page, pages):
    page.begin([0])
    page.turn(5000 * 150)
    made = page.last()["timestamp"]
    page.browser.get(pages)
    kept = [item["packet"]["timestamp"] for item in page.value("shelf()")]
    assert len(kept) == 100 and kept == sorted(kept) and kept[-1] == made
    page.begin([200])
    page.turn(30000)
    assert page.value("shelf()") == []
    assert kept == [one["packet"]["timestamp"] for one in page.asked()][-100:]


def test_what_can_never_be_taken_is_dropped_and_the_rest_goes_on(page):
    page.begin([422, 200])
    page.turn(25000)
    assert page.times() == [25000] * 5
    assert page.value("prana.delivery.counts") == {
        "sent": 4, "refused": 1, "retried": 0, "shelved": 0}
    assert page.value("shelf()") == []


def test_stopping_keeps_what_was_not_sent(page):
    page.begin()
    page.do("await clock.turn(10000); prana.stop(); await clock.turn(60000)")
    assert page.asked() == [] and len(page.value("shelf()")) == 2
    assert page.value("clock.timers.size") == 0


def test_leaving_the_page_keeps_what_was_not_sent(page, pages):
    page.begin()
    page.turn(10000)
    page.browser.get(pages)
    assert len(page.value("shelf()")) == 2


def test_the_kill_switch_stops_everything_and_forgets(page):
    page.begin([0])
    page.turn(35000)
    assert len(page.value("shelf()")) > 0
    page.do("Prana.kill(); await clock.turn(120000)")
    asked = len(page.asked())
    assert page.value("shelf()") == [] and page.value("clock.timers.size") == 0
    page.do("press(); begin([200], {}); await clock.turn(60000)")
    assert page.value("prana") is None and page.value("Prana.isKilled()") is True
    assert len(page.asked()) == 0 and asked == 4


def test_the_kill_switch_of_the_page_is_heeded_within_a_sample(page):
    page.begin()
    page.do("await clock.turn(10000); window.PRANA_KILL_SWITCH = true; await clock.turn(100)")
    assert page.value("clock.timers.size") == 0 and page.value("shelf()") == []


@pytest.mark.parametrize("missing", ["endpoint", "user_id", "system_type", "role"])
def test_starting_without_what_a_packet_needs_is_an_error(page, missing):
    said = page.value(f"(() => {{ try {{ begin([200], {{{missing}: ''}}); return 'started'; }}"
                      " catch (error) { return error.message; } })()")
    assert missing in said


# --- All the way ---

def test_a_browsers_packets_reach_bucket_and_move_karma(page, shared_system):
    who = "u-" + uuid.uuid4().hex[:12]
    url = functools.partial(shared_system.url, "bucket")
    eventually(lambda: requests.get(url("/readyz"), timeout=10).status_code == 200, what="Bucket")
    page.do(f"""
        window.clock = new TurnedClock();
        window.prana = Prana.start({{
          endpoint: '{url("/bucket/prana/ingest")}', user_id: '{who}', system_type: 'ems',
          role: 'employee', panel: document.getElementById('panel'),
        }}, {{clock: clock}});
        for (let i = 0; i < 25; i++) {{ press(); await clock.turn(1000); }}""")
    eventually(lambda: page.value("prana.delivery.counts.sent") == 5, what="five packets are sent")
    said = eventually(
        lambda: (got := requests.get(url(f"/bucket/prana/user/{who}"), timeout=10).json())["count"] == 5
        and got, what="five packets are kept")
    assert said["analytics"]["state_distribution"] == {"ON_TASK": 5}
    assert said["analytics"]["average_focus_score"] == 65.0
    assert len({packet["session_id"] for packet in said["packets"]}) == 1
    karma = shared_system.url("karma", f"/api/v1/karma/{who}")
    profile = eventually(
        lambda: (got := requests.get(karma, timeout=10)).status_code == 200
        and (body := got.json())["balances"]["DharmaPoints"] == 2.5 and body, what="karma moves")
    assert profile["user_id"] == who


def test_a_packet_that_was_sent_twice_is_kept_once(page, shared_system):
    who = "u-" + uuid.uuid4().hex[:12]
    url = functools.partial(shared_system.url, "bucket")
    eventually(lambda: requests.get(url("/readyz"), timeout=10).status_code == 200, what="Bucket")
    page.do(f"""
        window.clock = new TurnedClock();
        window.lost = 0;  // the first answer is lost on its way
        window.prana = Prana.start({{
          endpoint: '{url("/bucket/prana/ingest")}', user_id: '{who}', system_type: 'gurukul',
          role: 'student',
        }}, {{clock: clock, fetch: (where, what) => fetch(where, what).then((answer) => {{
          if (lost++ === 0) {{ throw new TypeError('lost'); }}
          return answer;
        }})}});
        await clock.turn(25000);""")
    eventually(lambda: page.value("prana.delivery.counts.retried") == 1, what="it is to be sent again")
    page.turn(1000)
    eventually(lambda: page.value("prana.delivery.counts.sent") == 5, what="all are sent")
    said = eventually(
        lambda: (got := requests.get(url(f"/bucket/prana/user/{who}"), timeout=10).json())["count"] >= 5
        and got, what="they are kept")
    assert said["count"] == 5 and page.value("lost") == 6

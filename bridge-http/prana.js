// prana.js - attention of a person at a page, told to Bucket: one packet every five seconds.
//
//   <script src="http://…:8080/prana.js"></script>
//   const prana = Prana.start({
//     endpoint: 'http://…:8001/bucket/prana/ingest', user_id: 'u-1', session_id: 's-1',
//     system_type: 'gurukul', role: 'student', lesson_id: 'l-1', panel: element,
//   });
//   prana.stop();   // what was not sent is kept, and sent by the next page
//   Prana.kill();   // stops all of them at once and forgets what was not sent
//
// It reads how the page is used (that keys are pressed, never which; that something is clicked,
// never what). States, scores, times and delivery: docs/originals.md, section 5. The functions
// above `Collector` are pure; time and network are handed in, so that tests turn the clock.
(function (root) {
  'use strict';

  const WINDOW_MS = 5000;              // one packet
  const WINDOW_SECONDS = 5;
  const SAMPLE_MS = 100;               // of where the time goes
  const EVALUATE_MS = 1000;            // of the state
  const TRANSITION_MIN_MS = 5000;      // a state stays at least as long
  const DEEP_HELD_MS = 15000;          // before deep focus counts as such
  const RAPID_CLICK_MS = 2000;
  const VELOCITY_MS = 1000;            // the mouse's path is measured over
  const HOVER_LOOP_MS = 2000;          // back on what it left before
  const IDLE_SECONDS = 600;
  const BATCH = 5;                     // packets gathered before they are sent
  const RETRIES_MS = [1000, 2000, 4000];
  const TIMEOUT_MS = 10000;
  const OFFLINE_RETRY_MS = 30000;
  const OFFLINE_MAX = 100;             // packets kept; the oldest go first
  const OFFLINE_KEY = 'prana.offline';

  // --- What a moment says ------------------------------------------------------------------------

  function isAway(signals) {
    return !signals.tab_visible || !signals.window_focus || signals.browser_hidden;
  }

  function isIdle(signals) {
    return signals.idle_seconds >= IDLE_SECONDS;
  }

  // Deep focus begins to be held.
  function isDeep(signals) {
    return signals.dwell_time_ms > 60000 && signals.mouse_velocity < 300 &&
      signals.inactivity_ms < 10000 && signals.rapid_click_count === 0;
  }

  function isThinking(signals) {
    return signals.mouse_velocity < 200 && signals.inactivity_ms > 1000 &&
      signals.inactivity_ms < 5000 && signals.rapid_click_count === 0;
  }

  // The state that the signals say: the first that fits. `deepMs`: how long isDeep was held.
  function classify(signals, deepMs) {
    if (isAway(signals)) { return 'AWAY'; }
    if (!signals.panel_focused) { return 'DISTRACTED'; }
    if (isIdle(signals)) { return 'IDLE'; }
    if (signals.rapid_click_count >= 3 || signals.mouse_velocity > 2500) { return 'OFF_TASK'; }
    if (isDeep(signals) && deepMs >= DEEP_HELD_MS) { return 'DEEP_FOCUS'; }
    return isThinking(signals) ? 'THINKING' : 'ON_TASK';
  }

  function firstState(now) {
    return {state: 'ON_TASK', since: now, deepSince: null};
  }

  // The state after `now`: what the signals say, but no sooner than it may change.
  function nextState(before, signals, now) {
    const calm = isDeep(signals) && !isAway(signals) && signals.panel_focused;
    const deepSince = calm ? (before.deepSince === null ? now : before.deepSince) : null;
    const wanted = classify(signals, deepSince === null ? 0 : now - deepSince);
    const changes = wanted !== before.state && now - before.since >= TRANSITION_MIN_MS;
    return {
      state: changes ? wanted : before.state,
      since: changes ? now : before.since,
      deepSince: deepSince,
    };
  }

  const BASE_SCORES = {
    DEEP_FOCUS: 95, ON_TASK: 75, THINKING: 65, DISTRACTED: 30, IDLE: 10, OFF_TASK: 5,
  };

  function focusScore(state, signals, activeSeconds) {
    if (state === 'AWAY' || !signals.tab_visible) { return 0; }
    let score = BASE_SCORES[state] === undefined ? 50 : BASE_SCORES[state];
    if (signals.mouse_velocity > 2000) { score -= 10; }
    if (signals.rapid_click_count >= 3) { score -= 15; }
    if (signals.dwell_time_ms < 30000) { score -= 10; }
    if (!signals.panel_focused) { score -= 20; }
    const scaled = Math.round(score * activeSeconds / WINDOW_SECONDS);
    return Math.min(100, Math.max(0, scaled));
  }

  // Milliseconds as seconds with one decimal that add up to 5.0 exactly: what rounding left over
  // goes where it lost most.
  function normalise(spent) {
    const names = ['active', 'idle', 'away'];
    const total = names.reduce((sum, name) => sum + spent[name], 0);
    const tenths = WINDOW_SECONDS * 10;
    const exact = names.map((name) => total > 0 ? spent[name] / total * tenths : 0);
    const whole = exact.map(Math.floor);
    if (total <= 0) { whole[0] = tenths; }
    let left = tenths - whole.reduce((sum, value) => sum + value, 0);
    const lost = (i) => exact[i] - whole[i];
    const order = [0, 1, 2].sort((a, b) => lost(b) - lost(a));
    for (let i = 0; left > 0; i++, left--) { whole[order[i % order.length]]++; }
    return {
      active_seconds: whole[0] / 10, idle_seconds: whole[1] / 10, away_seconds: whole[2] / 10,
    };
  }

  function makePacket(who, state, spent, signals, now) {
    const seconds = normalise(spent);
    return {
      user_id: who.user_id,
      session_id: who.session_id,
      lesson_id: who.lesson_id === undefined ? null : who.lesson_id,
      task_id: who.task_id === undefined ? null : who.task_id,
      system_type: who.system_type,
      role: who.role,
      timestamp: new Date(now).toISOString(),
      cognitive_state: state,
      active_seconds: seconds.active_seconds,
      idle_seconds: seconds.idle_seconds,
      away_seconds: seconds.away_seconds,
      focus_score: focusScore(state, signals, seconds.active_seconds),
      raw_signals: signals,
    };
  }

  // --- Collecting --------------------------------------------------------------------------------

  // Listens to the page. `panel`: what the work is done in; without one the page is.
  class Collector {
    constructor(page, panel, clock) {
      this.page = page;
      this.view = page.defaultView;
      this.panel = panel || null;
      this.clock = clock;
      this.listeners = [];
      const now = clock.now();
      this.lastActivity = now;
      this.dwellSince = now;
      this.hasFocus = page.hasFocus();
      this.isHere = this.hasFocus && !page.hidden;
      this.inPanel = true;
      this.clicks = [];      // times of the last ones
      this.path = [];        // {at, distance} of the last second
      this.left = new Map(); // element -> when the mouse left it
      this.lastPoint = null;
      this.scrollDepth = 0;
      this.clear();
      this.listen();
    }

    // What is counted by window.
    clear() {
      this.keystrokes = 0;
      this.mouseEvents = 0;
      this.mouseDistance = 0;
      this.scrolls = 0;
      this.contentClicks = 0;
      this.switches = 0;
      this.hoverLoops = 0;
    }

    on(target, name, handler) {
      const listener = (event) => handler.call(this, event);
      const options = {passive: true, capture: true};
      target.addEventListener(name, listener, options);
      this.listeners.push(() => target.removeEventListener(name, listener, options));
    }

    listen() {
      this.on(this.page, 'keydown', () => { this.keystrokes++; this.touch(); });
      this.on(this.page, 'mousemove', this.moved);
      this.on(this.page, 'mousedown', (event) => { this.enter(event.target); });
      this.on(this.page, 'click', this.clicked);
      this.on(this.page, 'scroll', this.scrolled);
      this.on(this.page, 'touchstart', (event) => { this.enter(event.target); this.touch(); });
      this.on(this.page, 'focusin', (event) => { this.enter(event.target); });
      this.on(this.page, 'mouseout', (event) => { this.left.set(event.target, this.clock.now()); });
      this.on(this.page, 'mouseover', this.hovered);
      this.on(this.page, 'visibilitychange', this.turned);
      this.on(this.view, 'blur', (event) => { this.focus(event, false); });
      this.on(this.view, 'focus', (event) => { this.focus(event, true); });
    }

    stop() {
      this.listeners.forEach((remove) => remove());
      this.listeners = [];
    }

    touch() { this.lastActivity = this.clock.now(); }

    enter(element) {
      if (this.panel !== null && element instanceof this.view.Node) {
        this.inPanel = this.panel.contains(element);
      }
    }

    moved(event) {
      const point = {x: event.clientX, y: event.clientY};
      if (this.lastPoint !== null) {
        const distance = Math.hypot(point.x - this.lastPoint.x, point.y - this.lastPoint.y);
        this.mouseDistance += distance;
        this.path.push({at: this.clock.now(), distance: distance});
      }
      this.lastPoint = point;
      this.mouseEvents++;
      this.touch();
    }

    clicked(event) {
      this.clicks.push(this.clock.now());
      if (this.panel === null || this.panel.contains(event.target)) { this.contentClicks++; }
      this.touch();
    }

    scrolled() {
      const element = this.page.scrollingElement;
      const room = element === null ? 0 : element.scrollHeight - element.clientHeight;
      const depth = room > 0 ? Math.round(element.scrollTop / room * 100) : 0;
      this.scrollDepth = Math.max(this.scrollDepth, Math.min(100, depth));
      this.scrolls++;
      this.touch();
    }

    hovered(event) {
      const now = this.clock.now();
      const at = this.left.get(event.target);
      if (at !== undefined && now - at <= HOVER_LOOP_MS) { this.hoverLoops++; }
    }

    turned() {
      const isHere = this.hasFocus && !this.page.hidden;
      if (isHere && !this.isHere) { this.dwellSince = this.clock.now(); }
      if (!isHere && this.isHere) { this.switches++; }
      this.isHere = isHere;
    }

    focus(event, hasFocus) {
      if (event.target === this.view) { // not an element's, on its way through the window
        this.hasFocus = hasFocus;
        this.turned();
      }
    }

    forget(now) {
      this.clicks = this.clicks.filter((at) => now - at < RAPID_CLICK_MS);
      this.path = this.path.filter((step) => now - step.at < VELOCITY_MS);
      this.left.forEach((at, element) => {
        if (now - at > HOVER_LOOP_MS) { this.left.delete(element); }
      });
    }

    signals(now) {
      this.forget(now);
      const visible = !this.page.hidden;
      const inactivity = now - this.lastActivity;
      const distance = this.path.reduce((sum, step) => sum + step.distance, 0);
      return {
        timestamp: now,
        window_focus: this.hasFocus,
        browser_visibility: visible ? 'visible' : 'hidden',
        browser_hidden: !visible,
        tab_visible: visible,
        panel_focused: this.inPanel,
        task_tab_active: visible && this.hasFocus,
        keystroke_count: this.keystrokes,
        mouse_events: this.mouseEvents,
        mouse_distance: Math.round(this.mouseDistance),
        scroll_events: this.scrolls,
        content_clicks: this.contentClicks,
        app_switches: this.switches,
        mouse_velocity: Math.round(distance * 1000 / VELOCITY_MS),
        scroll_depth: this.scrollDepth,
        hover_loops: this.hoverLoops,
        idle_seconds: Math.floor(inactivity / 1000),
        inactivity_ms: inactivity,
        dwell_time_ms: this.isHere ? now - this.dwellSince : 0,
        rapid_click_count: this.clicks.length,
      };
    }
  }

  // --- Sending -----------------------------------------------------------------------------------

  // What a server said of a packet: taken, never to be taken, or perhaps later.
  function verdict(status) {
    if (status >= 200 && status < 300) { return 'taken'; }
    const later = status === 0 || [408, 425, 429].includes(status) || status >= 500;
    return later ? 'later' : 'never';
  }

  // Packets kept for when the server is back. Other pages of this origin share them: read and
  // written at once each time. Without storage they are kept in memory.
  class Offline {
    constructor(storage) {
      this.storage = storage;
      this.memory = [];
    }

    read() {
      try {
        const items = JSON.parse(this.storage.getItem(OFFLINE_KEY) || '[]');
        return items.filter((item) => typeof item.key === 'string' && item.packet);
      } catch (error) {
        return this.memory;
      }
    }

    write(items) {
      this.memory = items.slice(-OFFLINE_MAX);
      try {
        this.storage.setItem(OFFLINE_KEY, JSON.stringify(this.memory));
      } catch (error) {
        // No storage, or a full one: they stay in memory.
      }
    }

    add(items) { this.write(this.read().concat(items)); }
    remove(key) { this.write(this.read().filter((item) => item.key !== key)); }
    clear() { this.write([]); }
  }

  class Delivery {
    // `post (item, done)` sends one and calls `done (status)`, 0 where nobody answered.
    constructor(post, offline, clock) {
      this.post = post;
      this.offline = offline;
      this.clock = clock;
      this.pending = [];
      this.isSending = false;
      this.isStopped = false;
      this.counts = {sent: 0, refused: 0, retried: 0, shelved: 0};
      this.timer = clock.setInterval(() => this.unshelve(), OFFLINE_RETRY_MS);
    }

    add(item) {
      this.pending.push(item);
      this.flushBatch();
    }

    flushBatch() {
      if (this.pending.length >= BATCH) { this.flush(); }
    }

    flush() {
      if (!this.isSending && !this.isStopped && this.pending.length > 0) {
        this.isSending = true;
        this.sendFirst(0);
      }
    }

    // One after the other; a server that is not there is not asked for each of them.
    sendFirst(tries) {
      const item = this.pending[0];
      this.post(item, (status) => {
        if (this.isStopped) { return; }
        const said = verdict(status);
        if (said !== 'later') {
          this.pending.shift();
          this.counts[said === 'taken' ? 'sent' : 'refused']++;
          this.goOn();
        } else if (tries < RETRIES_MS.length) {
          this.counts.retried++;
          this.clock.setTimeout(() => {
            if (!this.isStopped) { this.sendFirst(tries + 1); }
          }, RETRIES_MS[tries]);
        } else {
          this.shelve();
        }
      });
    }

    goOn() {
      this.isSending = false;
      this.flush();
    }

    shelve() {
      this.counts.shelved += this.pending.length;
      this.offline.add(this.pending);
      this.pending = [];
      this.isSending = false;
    }

    // Tries the oldest of what is kept; as long as it goes well, the next.
    unshelve() {
      const item = this.offline.read()[0];
      if (this.isStopped || this.isSending || item === undefined) { return; }
      this.isSending = true;
      this.post(item, (status) => {
        const said = verdict(status);
        this.isSending = false;
        if (this.isStopped) { return; }
        if (said === 'later') {
          this.flushBatch();
          return;
        }
        this.offline.remove(item.key);
        this.counts[said === 'taken' ? 'sent' : 'refused']++;
        this.unshelve();
        this.flushBatch();
      });
    }

    // What is not sent yet is kept for another page, or a later one.
    stop() {
      if (!this.isStopped && this.pending.length > 0) { this.shelve(); }
      this.isStopped = true;
      this.clock.clearInterval(this.timer);
    }
  }

  // Each packet goes with a key of its own, so that one sent twice is kept once.
  function poster(endpoint, fetch, clock) {
    return function post(item, done) {
      const stop = new AbortController();
      const timer = clock.setTimeout(() => stop.abort(), TIMEOUT_MS);
      fetch(endpoint, {
        method: 'POST',
        mode: 'cors',
        credentials: 'omit',
        signal: stop.signal,
        headers: {
          'Content-Type': 'application/json',
          'X-CLIENT-TIMESTAMP': item.packet.timestamp,
          'Idempotency-Key': item.key,
        },
        body: JSON.stringify(item.packet),
      }).then((answer) => answer.status, () => 0).then((status) => {
        clock.clearTimeout(timer);
        done(status);
      });
    };
  }

  // --- One page ----------------------------------------------------------------------------------

  const trackers = new Set();

  // Also by `PRANA_KILL_SWITCH = true` in the page, before or after this was loaded.
  function isKilled() { return root.PRANA_KILL_SWITCH === true; }

  class Tracker {
    constructor(options, parts) {
      this.who = options;
      this.clock = parts.clock;
      this.collector = new Collector(parts.page, options.panel, parts.clock);
      this.delivery = new Delivery(parts.post, parts.offline, parts.clock);
      this.key = parts.random();
      this.number = 0;
      this.packets = 0;
      const now = this.clock.now();
      this.machine = firstState(now);
      this.begin(now);
      this.timers = [
        this.clock.setInterval(() => this.sample(), SAMPLE_MS),
        this.clock.setInterval(() => this.evaluate(), EVALUATE_MS),
        this.clock.setInterval(() => this.close(), WINDOW_MS),
      ];
      this.removePageHide = onPageHide(parts.page.defaultView, () => this.stop());
    }

    get state() { return this.machine.state; }

    begin(now) {
      this.spent = {active: 0, idle: 0, away: 0};
      this.sampledAt = now;
      this.collector.clear();
    }

    // Where the time since the last sample went; a browser may let samples wait in hidden tabs.
    sample() {
      if (isKilled()) { kill(); return; }
      const now = this.clock.now();
      const signals = this.collector.signals(now);
      const where = isAway(signals) ? 'away' : isIdle(signals) ? 'idle' : 'active';
      this.spent[where] += Math.max(0, now - this.sampledAt);
      this.sampledAt = now;
    }

    evaluate() {
      const now = this.clock.now();
      this.machine = nextState(this.machine, this.collector.signals(now), now);
    }

    close() {
      this.sample();
      if (this.timers.length === 0) { return; }
      const now = this.clock.now();
      const signals = this.collector.signals(now);
      const packet = makePacket(this.who, this.machine.state, this.spent, signals, now);
      this.number++;
      this.delivery.add({key: this.key + '-' + this.number, packet: packet});
      this.begin(now);
    }

    silence() {
      this.timers.forEach((timer) => this.clock.clearInterval(timer));
      this.timers = [];
      this.collector.stop();
      this.removePageHide();
      trackers.delete(this);
    }

    stop() {
      this.silence();
      this.delivery.stop();
    }
  }

  function onPageHide(view, handler) {
    view.addEventListener('pagehide', handler);
    return () => view.removeEventListener('pagehide', handler);
  }

  // Stops all, for good; nothing more is read, and what was not sent is forgotten.
  function kill() {
    root.PRANA_KILL_SWITCH = true;
    Array.from(trackers).forEach((tracker) => {
      tracker.silence();
      tracker.delivery.pending = [];
      tracker.delivery.stop();
      tracker.delivery.offline.clear();
    });
  }

  const realClock = {
    now: () => Date.now(),
    setTimeout: (fn, ms) => root.setTimeout(fn, ms),
    clearTimeout: (timer) => root.clearTimeout(timer),
    setInterval: (fn, ms) => root.setInterval(fn, ms),
    clearInterval: (timer) => root.clearInterval(timer),
  };

  function realStorage() {
    try {
      return root.localStorage;
    } catch (error) {
      return null; // forbidden here
    }
  }

  function randomText() {
    const bytes = root.crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  // Starts one. `given` stands in for the page's own clock, fetch, storage, document: for tests.
  // Returns null where PRANA is switched off.
  function start(options, given) {
    ['endpoint', 'user_id', 'system_type', 'role'].forEach((name) => {
      if (typeof options[name] !== 'string' || options[name] === '') {
        throw new TypeError('Prana.start: ' + name + ' is wanted, a text');
      }
    });
    if (isKilled()) { return null; }
    const own = given || {};
    const clock = own.clock || realClock;
    const fetch = own.fetch || root.fetch.bind(root);
    const storage = own.storage === undefined ? realStorage() : own.storage;
    const who = Object.assign({session_id: randomText()}, options);
    const tracker = new Tracker(who, {
      clock: clock,
      page: own.document || root.document,
      post: poster(options.endpoint, fetch, clock),
      offline: new Offline(storage),
      random: randomText,
    });
    trackers.add(tracker);
    return tracker;
  }

  root.Prana = Object.freeze({
    start: start,
    kill: kill,
    isKilled: isKilled,
    // For who wants to know, and for tests.
    pure: Object.freeze({
      classify: classify, firstState: firstState, nextState: nextState, focusScore: focusScore,
      normalise: normalise, makePacket: makePacket, verdict: verdict,
    }),
  });
})(typeof globalThis === 'undefined' ? window : globalThis);

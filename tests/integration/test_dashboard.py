"""The dashboard and the gates: every figure on the page is one that a drill's file has."""

import base64
import json
import shutil
import subprocess

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

BOOTS = [(212.0, 5, 5, 1, 2), (240.5, 5, 4, 3, 1), (198.25, 10, 10, 0, 4)]
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"


def put(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def boot(logs, n, average, cycles=5, good=5, watchdog=0, healed=0, **more):
    name = f"boot_stress_20261120_0{n}0000"
    put(logs / "boot" / f"{name}_summary.json", {
        "test_id": name, "cycles": cycles, "started_at": f"2026-11-20T0{n}:00:00", "passed": average <= 500,
        "summary": {"total_boots": cycles, "successful_boots": good, "failed_boots": cycles - good,
                    "avg_boot_time": average, "watchdog_triggers": watchdog, "self_heal_activations": healed,
                    "components": {"broker": 11.5, "bucket": 14.25}}, **more})


def ingestion(logs, n=1, trust=0.9, quality=0.95, chunks=37):
    name = f"ingest_stress_20261120_0{n}0000"
    put(logs / "ingestion" / f"{name}.json", {
        "test_id": name, "started_at": f"2026-11-20T0{n}:10:00", "passed": trust >= 0.7,
        "summary": {"total_jobs": 10, "successful": 9, "failed": 1, "avg_extract_ms": 0.5, "avg_chunk_ms": 1.25,
                    "total_chunks": chunks, "avg_trust_score": trust, "avg_quality_score": quality,
                    "drift_detected": False}})


def htm(logs, n=1, breaches=0, dispatch=0.8):
    name = f"htm_stress_20261120_0{n}0000"
    put(logs / "htm" / f"{name}_summary.json", {
        "test_id": name, "started_at": f"2026-11-20T0{n}:20:00", "passed": breaches == 0,
        "summary": {"total_tasks": 100, "completed": 97, "failed": 3, "sla_breaches": breaches, "preemptions": 21,
                    "sub_agents_spawned": 4, "avg_dispatch_latency_ms": dispatch, "avg_queue_depth": 12.5}})


def stress(bhiv, cwd, *words):
    return subprocess.run([bhiv, "stress", *words], cwd=cwd, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture(scope="module", name="browser")
def fixture_browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    yield driver
    driver.quit()


def shown(bhiv, browser, folder):
    """The page of the drills in `folder`/logs/stress, drawn. Returns each section's text."""
    done = stress(bhiv, folder, "report")
    assert done.returncode == 0, done.stderr
    page = folder / done.stdout.strip()
    browser.get(page.as_uri())
    assert browser.find_element(By.TAG_NAME, "body").get_attribute("data-drawn") == "yes"
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    names = ("alerts", "boot", "ingestion", "htm", "health", "faults", "overall")
    return {name: browser.find_element(By.ID, name).text for name in names}


def tile(text, title):
    """The figure above this title."""
    lines = text.split("\n")
    return lines[lines.index(title) - 1]


def test_the_page_shows_what_the_files_say(bhiv, browser, tmp_path):
    logs = tmp_path / "logs" / "stress"
    for n, run in enumerate(BOOTS):
        boot(logs, n, *run)
    ingestion(logs)
    htm(logs)
    text = shown(bhiv, browser, tmp_path)
    assert tile(text["boot"], "Tests run") == "3"
    assert tile(text["boot"], "Avg boot time") == "216.9 ms"  # (212 + 240.5 + 198.25) / 3
    assert tile(text["boot"], "Success rate") == "95 %"  # 19 of 20
    assert tile(text["boot"], "Watchdog triggers") == "4"
    assert tile(text["boot"], "Self-heal events") == "7"
    assert "boot_stress_20261120_000000" in text["boot"] and "bucket 14.3 ms\nbroker 11.5 ms" in text["boot"]
    assert tile(text["ingestion"], "Total chunks") == "37"
    assert tile(text["ingestion"], "Avg trust") == "0.9" and tile(text["ingestion"], "Avg quality") == "0.95"
    assert tile(text["htm"], "Tasks processed") == "97" and tile(text["htm"], "Dispatch latency, average") == "0.8 ms"
    assert tile(text["overall"], "Overall status") == "healthy" and tile(text["overall"], "Alerts") == "0"
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg polyline")) == 8
    heights = [dot.get_attribute("cy") for dot in browser.find_elements(By.CSS_SELECTOR, "#boot figure:first-of-type circle")]
    assert float(heights[1]) < float(heights[0]) < float(heights[2]), "240.5 is drawn above 212, and that above 198.25"


def test_what_leaves_the_gates_is_an_alert(bhiv, browser, tmp_path):
    logs = tmp_path / "logs" / "stress"
    boot(logs, 1, 220.0)
    boot(logs, 2, 501.0)
    ingestion(logs, trust=0.69, quality=0.66)
    htm(logs, breaches=2)
    text = shown(bhiv, browser, tmp_path)
    for words in ("501 ms on average", "Trust is 0.69", "Quality is 0.66", "2 tasks broke their SLA", "Boot time rose to 501 ms"):
        assert words in text["alerts"], words
    assert tile(text["overall"], "Overall status") == "degraded"


def test_without_drills_nothing_is_claimed(bhiv, browser, tmp_path):
    (tmp_path / "logs" / "stress").mkdir(parents=True)
    text = shown(bhiv, browser, tmp_path)
    assert "No drill has been run yet" in text["alerts"]
    assert tile(text["overall"], "Overall status") == "unknown"
    assert tile(text["boot"], "Success rate") == "—" and tile(text["htm"], "Dispatch latency, average") == "—"
    assert text["health"].count("never run") == 4


def test_what_a_file_says_is_text_and_nothing_else(bhiv, browser, tmp_path):
    logs = tmp_path / "logs" / "stress"
    boot(logs, 1, 220.0)
    put(logs / "boot" / "x_summary.json", {"test_id": HOSTILE, "started_at": "2026-11-20T09:00:00",
                                            "summary": {"avg_boot_time": 230}})
    (logs / "boot" / "torn_summary.json").write_text('{"test_id": "torn", "summ')
    put(logs / "boot" / "list_summary.json", [1, 2, 3])
    text = shown(bhiv, browser, tmp_path)
    assert HOSTILE in text["boot"] and browser.title == "BHIV Bus: stress dashboard"
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert "2 files could not be read" in browser.find_element(By.ID, "sub").text


def test_the_page_needs_nothing_else_and_can_be_printed(bhiv, browser, tmp_path):
    logs = tmp_path / "logs" / "stress"
    boot(logs, 1, 220.0)
    shown(bhiv, browser, tmp_path)
    asked = browser.execute_script("return performance.getEntriesByType('resource').map((it) => it.name)")
    assert asked == []
    paper = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert paper.startswith(b"%PDF") and len(paper) > 10_000


# --- Gates -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("more, gate", [
    ({}, None), ({"boot_ms": 500.0}, None), ({"boot_ms": 500.5}, "boot"), ({"trust": 0.69}, "trust"),
    ({"quality": 0.69}, "quality"), ({"breaches": 1}, "sla"),
])
def test_each_gate_is_held(bhiv, tmp_path, more, gate):
    logs = tmp_path / "logs" / "stress"
    boot(logs, 1, more.get("boot_ms", 220.0))
    ingestion(logs, trust=more.get("trust", 0.7), quality=more.get("quality", 0.7))
    htm(logs, breaches=more.get("breaches", 0))
    done = stress(bhiv, tmp_path, "gates")
    failed = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("FAILED")]
    assert (done.returncode, failed) == (1 if gate else 0, [gate] if gate else []), done.stdout


def test_a_regression_against_the_baseline_fails(bhiv, tmp_path):
    logs = tmp_path / "logs" / "stress"
    boot(logs, 1, 200.0)
    ingestion(logs)
    htm(logs)
    assert stress(bhiv, tmp_path, "gates", "--baseline", "b.json", "--write").returncode == 0
    boot(logs, 2, 299.0)
    assert stress(bhiv, tmp_path, "gates", "--baseline", "b.json").returncode == 0
    boot(logs, 3, 301.0)
    done = stress(bhiv, tmp_path, "gates", "--baseline", "b.json", "--write")
    assert done.returncode == 1 and "boot regression" in done.stdout
    assert json.loads((tmp_path / "b.json").read_text())["boot"]["avg_boot_time"] == 200.0
    assert stress(bhiv, tmp_path, "gates", "--baseline", "b.json", "--tolerance", "160").returncode == 0


def test_a_suite_that_never_ran_is_said(bhiv, tmp_path):
    logs = tmp_path / "logs" / "stress"
    boot(logs, 1, 200.0)
    done = stress(bhiv, tmp_path, "gates", "--markdown")
    assert done.returncode == 66 and "| trust | - | at least 0.7 | no figure |" in done.stdout

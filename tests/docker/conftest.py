"""One project of the compose file for all tests here: it takes half a minute to come up."""

import os
import shutil
import subprocess

import pytest
from support.compose import ROOT, Compose

BUILT = "bhiv-bus-test"


@pytest.fixture(scope="session", name="image")
def fixture_image():
    """BHIV_IMAGE, else one that is built of this checkout."""
    if shutil.which("docker") is None:
        pytest.fail("--docker was asked for and there is no docker")
    if "BHIV_IMAGE" not in os.environ:
        built = subprocess.run(["docker", "build", "-t", BUILT, "."], cwd=ROOT, capture_output=True, text=True, timeout=1800,
                               check=False)
        assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return os.environ.get("BHIV_IMAGE", BUILT)


@pytest.fixture(scope="session", name="compose")
def fixture_compose(image):
    compose = Compose(image)
    try:
        compose.up()
        compose.token = compose.make_token("-r", "owner", "-e", "1d")
        yield compose
        print(compose.run("logs", "--no-color", "--tail", "40"))
    finally:
        compose.end()

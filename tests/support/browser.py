"""A headless Chromium, for the tests marked browser; without one they skip and say so."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--no-default-browser-check", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
"""``--no-sandbox`` as root has none; the last one makes sure that no host is ever found."""


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Start Debian's Chromium with a new profile, and end it."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    lacking = [name for name, path in programs.items() if path is None]
    if lacking:
        pytest.skip(f"no {' and no '.join(lacking)}: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # A named driver is taken as it is: nothing is looked for on the network.
    service = Service(str(programs["chromedriver"]), log_output=os.devnull)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()

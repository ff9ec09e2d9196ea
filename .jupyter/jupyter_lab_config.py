"""JupyterLab for readers: opens at once, asks nothing, and sends nothing beyond this machine."""

from typing import Any

import zmq

c = get_config()  # noqa: F821 - Jupyter defines it while it reads this file

# No request leaves the machine.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

# Only this machine reaches it, and only with the token that is printed at start.
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.allow_remote_access = False
c.ServerApp.tornado_settings = {"ws_ping_interval": 0}  # keep-alive is for proxies; there is none

# Chapters run in this environment, whatever other kernels the reader has.
c.KernelSpecManager.allowed_kernelspecs = {"python3"}

if zmq.has("curve"):
    c.KernelManager.transport_encryption = "auto"  # without it every kernel warns

WIDGET = "application/vnd.jupyter.widget-view+json"


def without_forms(model: dict[str, Any], **_: Any) -> None:
    """Save a line of text where a form stands: opened again, a form without its kernel would read
    «Error displaying widget»."""
    if model["type"] != "notebook":
        return
    for cell in model["content"]["cells"]:
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                output["data"] = {"text/plain": "Run this cell to see its form again."}


c.ContentsManager.pre_save_hook = without_forms

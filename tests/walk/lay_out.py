"""`lay_out.py MANIFEST FOLDER`: puts into the folder what the gateway's container of the manifest finds at /etc/gatepost."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import yaml

loader = importlib.machinery.SourceFileLoader(
    "check", str(Path(__file__).resolve().parent.parent.parent / "deploy/check")
)
check = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
loader.exec_module(check)

documents = [each for each in yaml.safe_load_all(Path(sys.argv[1]).read_text()) if each]
[(_, container, pod)] = check.gateways(documents)
folder = Path(sys.argv[2])
check.laid_out(container, pod, documents, folder, check.StandIns(folder))

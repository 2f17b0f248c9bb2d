"""A short session with Graph in a process of its own. Prints what came, and how many of the SDK's models were loaded."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from exosp import signin
from exosp.clouds import CLOUDS
from exosp.errors import Forbidden
from exosp.graph import Graph
from exosp.snapshot import AppId, Application, ApplicationObjectId, Snapshot
from exosp.writes import APPLICATION, AddSecret, UpsertApplication

address = os.environ["ADDRESS"]
cloud = replace(CLOUDS["global"], login=address, graph=address, ca=Path(os.environ["CA"]))
seen = Snapshot(application=Application(ApplicationObjectId("x"), AppId("y"), "", "", ""))
with Graph(cloud, signin.admin(cloud, os.environ)) as graph:
    print(type(graph.application("app")).__name__)
    print(type(graph.send(UpsertApplication("app", "App", "AzureADMyOrg", ()), seen)).__name__)
    print(type(graph.send(AddSecret(APPLICATION, "exosp", 3600, "app.env"), seen)).__name__)
    print(graph.principal(AppId("y")))
    try:
        graph.principal(AppId("y"))
    except Forbidden as fault:
        print(type(fault).__name__)
print(sum(name.startswith("msgraph.generated.models.") for name in sys.modules))

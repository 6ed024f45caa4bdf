"""The service's own Api, as main wires it, without a server."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from sanic import Sanic

from config.settings import Settings
from libs.rest import Api
from main import create_app


def service_api(folder: Path) -> Api:
    """Every route of the service with its default instances, with its data under a folder."""
    app = create_app(Settings(data_dir=folder / "data", log_dir=folder / "logs"), name=f"api_{uuid4().hex}")
    Sanic.unregister_app(app)
    api: Api = app.ctx.api
    return api

"""The REST shape over Sanic: namespaces of class-based resources, one OpenAPI document, Swagger UI at `/`.

app = Sanic("hostmonitor", router=Router())
api = Api("HostMonitor", version, base_path=settings.base_path, public_url=settings.public_url)
api.add(documents, instance="es", args=(instance,))
api.mount(app)
serve(app, api)
"""

from libs.actions import ANY_KEY, PUBLIC
from libs.rest.api import Api, Endpoint
from libs.rest.document import build, to_bytes
from libs.rest.handlers import Reply, encode
from libs.rest.namespace import Namespace, Resource
from libs.rest.negotiate import preferred
from libs.rest.operation import BodyModel, QueryModel, RawSchema
from libs.rest.page import serve
from libs.rest.reading import pieces
from libs.rest.router import Router

__all__ = [
    "ANY_KEY",
    "PUBLIC",
    "Api",
    "BodyModel",
    "Endpoint",
    "Namespace",
    "QueryModel",
    "RawSchema",
    "Reply",
    "Resource",
    "Router",
    "build",
    "encode",
    "pieces",
    "preferred",
    "serve",
    "to_bytes",
]

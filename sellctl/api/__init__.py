"""The control API over HTTP, with the same Runtime as the commands. Needs the package extra `api`.

`sell_router` can be included in an application of your own: `app.include_router(sell_router, prefix="/api/v1")`.
"""

from sellctl.api.routes import sell_router

__all__ = ["sell_router"]

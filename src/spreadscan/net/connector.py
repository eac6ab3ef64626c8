"""How aiohttp connects, for REST and WebSockets: by name, at the last good address, by a proxy."""

from typing import Any

import aiohttp

from spreadscan.net.proxy import Proxies
from spreadscan.net.resolver import LastGoodResolver


class Connector(aiohttp.TCPConnector):
    """aiohttp's, through a proxy where there is one: its own asks HTTP proxies alone, and not for
    a tunnel where an address has no TLS."""

    def __init__(self, proxies: Proxies, timeout_s: float, **options: Any) -> None:
        super().__init__(resolver=LastGoodResolver(), **options)
        self._proxies, self._timeout_s = proxies, timeout_s

    async def _create_direct_connection(
        self,
        req: Any,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109  # the base class names it so
        **options: Any,
    ) -> Any:
        proxy = self._proxies.of(str(req.url))
        if proxy is None:
            return await super()._create_direct_connection(req, traces, timeout, **options)
        tcp = await proxy.connected(req.url.raw_host, req.port, self._timeout_s)
        tls = self._get_ssl_context(req)
        try:
            return await self._wrap_existing_connection(
                self._factory, req=req, timeout=timeout, sock=tcp, ssl=tls,
                server_hostname=req.url.raw_host if tls else None,
            )  # fmt: skip
        except BaseException:
            tcp.close()
            raise

"""How a venue refuses a REST request: a status and a body of its own."""

import orjson


class Refusal(Exception):
    """The answer in place of the page."""

    def __init__(self, body: dict[str, object], status: int = 200) -> None:
        super().__init__(body)
        self.body = orjson.dumps(body)
        self.status = status

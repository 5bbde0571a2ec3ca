"""What foreign agents see as their provider. Start at `gateway.py`; `server.py` speaks HTTP, `line.py` decides."""

from skillgrad_ci.models.gateway.gateway import ProviderGateway

__all__ = ["ProviderGateway"]

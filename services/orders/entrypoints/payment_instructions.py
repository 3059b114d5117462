"""Payment instructions: the bank's checkout page with signed parameters, and the URL of its callback."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from generated.proto.delivery.orders import v1
from services.orders.domain.orders import Bank, Order
from services.runtime.core.clock import Clock
from services.runtime.outbound import base_url, webhook_secrets
from services.runtime.outbound.webhooks import sign_content
from services.runtime.storage.encryption import SecretBox


@dataclass(frozen=True)
class PaymentInstructionsBuilder:
    """Builder of payment instructions, which are signed with every active secret of the bank."""

    public_url: str
    secret_box: SecretBox
    clock: Clock

    def build(self, order: Order, bank: Bank, return_url: str | None = None) -> v1.PaymentInstructions:
        """Return the instructions to pay the order at its bank.

        `return_url` is the page to which the bank sends the customer; the id of the order is added to it.
        """
        secrets = webhook_secrets.decrypt_active_secrets(bank, self.secret_box.decrypt_cached, self.clock())
        callback_url = f"{self.public_url}/api/v1/callbacks/payments/{bank.id}"
        parameters: dict[str, str | int] = {
            "order_id": order.id,
            "amount": order.total_amount,
            "currency": order.currency,
            "callback_url": callback_url,
        }
        parameters |= sign_checkout(
            order.id, order.created_at, order.total_amount, order.currency, callback_url, secrets
        )
        if return_url is not None:
            return_url = base_url.add_query(return_url, {"order_id": order.id})
            parameters |= sign_return_url(order.id, order.created_at, return_url, secrets)
        webcheckout_url = base_url.add_query(bank.webcheckout_url, parameters)
        return v1.PaymentInstructions(webcheckout_url=webcheckout_url, callback_url=callback_url)


def sign_checkout(
    order_id: str, created_at: datetime, amount: int, currency: str, callback_url: str, secrets: Sequence[str]
) -> dict[str, str]:
    """Return the query parameters `timestamp` and `signature` of a checkout URL, with a signature by each secret."""
    return {
        "timestamp": str(int(created_at.timestamp())),
        "signature": sign_content(order_id, created_at, f"{amount}.{currency}.{callback_url}", secrets),
    }


def sign_return_url(order_id: str, created_at: datetime, return_url: str, secrets: Sequence[str]) -> dict[str, str]:
    """Return the query parameters `return_url` and `return_url_signature` of a checkout URL."""
    # A signature of its own: banks that do not know the parameter verify the other one.
    return {
        "return_url": return_url,
        "return_url_signature": sign_content(order_id, created_at, return_url, secrets),
    }

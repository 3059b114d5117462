"""Payment instructions: the bank's checkout page with signed parameters, and the URL of its callback."""

from dataclasses import dataclass

from generated.proto.delivery.orders import v1
from services.orders.domain.orders import Bank, Order
from services.runtime.core.clock import Clock
from services.runtime.outbound import base_url, webhook_secrets, webhooks
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
        secrets = webhook_secrets.decrypt_active_secrets(bank, self.secret_box.decrypt, self.clock())
        callback_url = f"{self.public_url}/api/v1/callbacks/payments/{bank.id}"
        parameters: dict[str, str | int] = {
            "order_id": order.id,
            "amount": order.total_amount,
            "currency": order.currency,
            "callback_url": callback_url,
        }
        parameters |= webhooks.sign_checkout(
            order.id, order.created_at, order.total_amount, order.currency, callback_url, secrets
        )
        if return_url is not None:
            return_url = base_url.add_query(return_url, {"order_id": order.id})
            parameters |= webhooks.sign_return_url(order.id, order.created_at, return_url, secrets)
        webcheckout_url = base_url.add_query(bank.webcheckout_url, parameters)
        return v1.PaymentInstructions(webcheckout_url=webcheckout_url, callback_url=callback_url)

"""Pydantic models of requests and responses, with the limits of the contract."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[int, Field(ge=0, le=9007199254740991)]
Id = Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$", max_length=64)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class CatalogProduct(BaseModel):
    """A product and its price, in minor units."""

    id: int
    title: str
    description: str
    picture_url: str | None = None
    price: int
    currency: str


class CatalogPartner(BaseModel):
    """A partner with its products."""

    id: int
    title: str
    brand: str
    address: str
    products: list[CatalogProduct]
    products_truncated: bool
    is_open: bool
    delivery_fee: int
    delivery_fee_currency: str


class CatalogPage(BaseModel):
    """A page of partners."""

    items: list[CatalogPartner]
    next_page_token: str | None = None


class Item(BaseModel):
    """An item of a basket."""

    model_config = ConfigDict(extra="forbid")
    product_id: Annotated[int, Field(ge=1, le=9007199254740991)]
    quantity: Annotated[int, Field(ge=1, le=99)]


class CheckOrder(BaseModel):
    """A basket with the total that the customer expects."""

    model_config = ConfigDict(extra="forbid")
    partner_id: Annotated[int, Field(ge=1, le=9007199254740991)]
    items: Annotated[list[Item], Field(min_length=1, max_length=50)]
    total_amount: Amount
    currency: Currency = "USD"
    bank_id: Id
    delivery_address: Annotated[str, Field(min_length=6, max_length=200, pattern="^[^\x00]*$")]
    customer_name: Annotated[str | None, Field(min_length=1, max_length=200, pattern="^[^\x00]*$")] = None
    customer_phone: Annotated[str | None, Field(pattern="^\\+[1-9][0-9]{6,14}$")] = None


class Partner(BaseModel):
    """Id and names of a partner."""

    id: int
    title: str
    brand: str


class PricedItem(BaseModel):
    """An item of a basket with its price."""

    product_id: int
    title: str
    quantity: int
    price: int


class OrderCheck(BaseModel):
    """A priced basket that can be ordered for ten minutes."""

    check_id: str
    expires_at: datetime
    total_amount: int
    currency: str
    partner: Partner
    items: list[PricedItem]


class ConfirmOrder(BaseModel):
    """Reference to the check to order."""

    model_config = ConfigDict(extra="forbid")
    check_id: Id


class Order(BaseModel):
    """An order."""

    id: str
    status: str
    customer_id: str
    customer_name: str | None = None
    customer_phone: str | None = None
    partner: Partner
    items: list[PricedItem]
    total_amount: int
    currency: str
    paid_amount: int
    refunded_amount: int
    refund_status: str
    bank_id: str
    payment_id: str | None = None
    delivery_address: str
    pickup_address: str | None = None
    deliverer_id: str | None = None
    version: int
    created_at: datetime
    updated_at: datetime


class Payment(BaseModel):
    """Payment URLs of an order."""

    webcheckout_url: str
    callback_url: str


class ConfirmedOrder(BaseModel):
    """An order with its payment URLs."""

    order: Order
    payment: Payment


class PaymentCallback(BaseModel):
    """Callback of a bank about a payment."""

    payment_id: Id
    order_id: Id
    amount: Amount
    currency: Currency
    status: Literal["succeeded", "failed"]


class ReadyCallback(BaseModel):
    """Callback of a partner about an order that is ready."""

    order_id: Id
    pickup_address: Annotated[str, Field(min_length=1, max_length=200, pattern="^[^\x00]*$")]

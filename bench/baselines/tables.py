"""SQLAlchemy tables of the baselines, with the same indexes as the tables of the mesh."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    type_annotation_map = {str: Text, int: BigInteger, datetime: DateTime(timezone=True)}  # noqa: RUF012


class Partner(Base):
    """A partner."""

    __tablename__ = "partners"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    brand: Mapped[str]
    address: Mapped[str]
    verified: Mapped[bool]
    enabled: Mapped[bool]
    delivery_fee: Mapped[int]
    delivery_fee_currency: Mapped[str]
    offers: Mapped[list["Offer"]] = relationship(order_by="Offer.product_id")


class Product(Base):
    """A product."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    description: Mapped[str]
    picture_url: Mapped[str | None]


class Offer(Base):
    """A product at a partner."""

    __tablename__ = "availability"
    partner_id: Mapped[int] = mapped_column(ForeignKey("partners.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True)
    price: Mapped[int]
    currency: Mapped[str]
    active: Mapped[bool]
    product: Mapped[Product] = relationship()


class Bank(Base):
    """A bank."""

    __tablename__ = "banks"
    id: Mapped[str] = mapped_column(primary_key=True)
    webcheckout_url: Mapped[str]
    active: Mapped[bool]


class Order(Base):
    """An order."""

    __tablename__ = "orders"
    id: Mapped[str] = mapped_column(primary_key=True)
    check_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    customer_id: Mapped[str]
    customer_name: Mapped[str | None]
    customer_phone: Mapped[str | None]
    partner: Mapped[dict[str, Any]] = mapped_column(JSONB)
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    total_amount: Mapped[int]
    currency: Mapped[str]
    paid_amount: Mapped[int]
    refunded_amount: Mapped[int]
    refund_status: Mapped[str]
    bank_id: Mapped[str] = mapped_column(ForeignKey("banks.id"))
    payment_id: Mapped[str | None]
    delivery_address: Mapped[str]
    pickup_address: Mapped[str | None]
    deliverer_id: Mapped[str | None]
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    partner_notified_at: Mapped[datetime | None]
    __table_args__ = (
        Index("orders_by_customer", "customer_id", "created_at", "id"),
        Index("orders_by_deliverer", "deliverer_id", "created_at", "id", postgresql_where="deliverer_id IS NOT NULL"),
        Index("orders_by_created_at", "created_at", "id"),
        Index("orders_by_updated_at", "updated_at"),
        Index("orders_pending_by_created_at", "created_at", postgresql_where="status = 'pending'"),
    )


class Outbox(Base):
    """Outbox of events, written in the transaction of the order."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    type: Mapped[str]
    subject: Mapped[str]
    payload: Mapped[bytes] = mapped_column(BYTEA)
    at: Mapped[datetime]


class ThirdParty(Base):
    """Address and secret of a bank or partner, by `bank:<id>` or `partner:<id>`."""

    __tablename__ = "third_parties"
    owner: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    secret: Mapped[str]


class Payment(Base):
    """A payment. The id of its callback deduplicates repeated callbacks."""

    __tablename__ = "payments"
    bank_id: Mapped[str] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(primary_key=True)
    webhook_id: Mapped[str]
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    amount: Mapped[int]
    currency: Mapped[str]
    at: Mapped[datetime]
    __table_args__ = (Index("payments_by_webhook", "bank_id", "webhook_id", unique=True),)


class Inbox(Base):
    """Events that a queue's consumer has processed."""

    __tablename__ = "inbox"
    queue: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)


class Device(Base):
    """Device of a user, which receives push notifications."""

    __tablename__ = "devices"
    user_id: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(primary_key=True)

"""Events published when the catalog changes."""

from datetime import datetime

from generated.proto.delivery.events.v1 import PartnerCatalogChanged


def build_partner_changed_event(partner_id: int, at: datetime) -> PartnerCatalogChanged:
    """Return the event for a change of a partner's whole catalog entry."""
    return PartnerCatalogChanged(subject=f"partner:{partner_id}", partner_id=partner_id, at=at)


def build_product_changed_event(product_id: int, at: datetime) -> PartnerCatalogChanged:
    """Return the event for a change of a product, at all partners."""
    return PartnerCatalogChanged(subject=f"product:{product_id}", product_id=product_id, at=at)


def build_offer_changed_event(partner_id: int, product_id: int, at: datetime) -> PartnerCatalogChanged:
    """Return the event for a change of a product at one partner."""
    return PartnerCatalogChanged(subject=f"partner:{partner_id}", partner_id=partner_id, product_id=product_id, at=at)

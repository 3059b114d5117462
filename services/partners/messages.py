"""What partners are made of, as messages."""

from generated.proto.delivery.partners import v1
from services.partners.domain import Product
from services.partners.usecases.ports import CatalogEntry


def catalog_partner_of(entry: CatalogEntry) -> v1.CatalogPartner:
    """A partner as customers see it."""
    return v1.CatalogPartner(
        id=entry.id,
        title=entry.title,
        brand=entry.brand,
        address=entry.address,
        products=[v1.CatalogProduct(**product) for product in entry.products],
        products_truncated=entry.products_truncated,
    )


def product_of(product: Product) -> v1.Product:
    """A product without its version."""
    return v1.Product(
        id=product.id, title=product.title, description=product.description, picture_url=product.picture_url
    )

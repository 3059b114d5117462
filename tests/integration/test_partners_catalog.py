"""Catalog through the gRPC servicer, with real servers."""

from services.partners.entrypoints.rpc import PartnersRpc
from tests.integration.fixtures.partners_rpc import (
    ADMIN,
    availability_request,
    create_partner,
    create_product,
    list_catalog,
)


async def test_catalog_lists_each_partners_products(partners_rpc: PartnersRpc) -> None:
    soup, bread = await create_product(partners_rpc, "Soup"), await create_product(partners_rpc, "Bread")
    sold = {await create_partner(partners_rpc): {soup: 350, bread: 90}, await create_partner(partners_rpc): {soup: 400}}
    for partner_id, prices in sold.items():
        for product, price in prices.items():
            await partners_rpc.set_availability(availability_request(partner_id, product, price), ADMIN)
    await create_partner(partners_rpc)
    await partners_rpc.set_availability(
        availability_request(min(sold), await create_product(partners_rpc, "Inactive"), active=False), ADMIN
    )
    page = await list_catalog(partners_rpc)
    shown = {entry.id: [(product.id, product.price) for product in entry.products] for entry in page.items}
    assert {partner_id: shown.get(partner_id) for partner_id in sold} == {
        n: sorted(prices.items()) for n, prices in sold.items()
    }
    assert all(shown.values())
    (found,) = (await list_catalog(partners_rpc, partner_id=min(sold), q="BREA")).items
    assert [product.id for product in found.products] == [bread]


async def test_search_escapes_wildcards(partners_rpc: PartnersRpc) -> None:
    titles = ("100 % rye", "100 x rye", r"A\B_C", r"A\BxC", "Ölsardinen", "It's")
    sold = {title: await create_product(partners_rpc, title) for title in titles}
    partner = await create_partner(partners_rpc)
    for product in sold.values():
        await partners_rpc.set_availability(availability_request(partner, product, 100), ADMIN)
    for text, titles_found in {
        "100 % RYE": ["100 % rye"],
        "%": ["100 % rye"],
        r"\b_c": [r"A\B_C"],
        "_": [r"A\B_C"],
        "ölsa": ["Ölsardinen"],
        "'": ["It's"],
        "x": ["100 x rye", r"A\BxC"],
    }.items():
        (found,) = (await list_catalog(partners_rpc, partner_id=partner, q=text)).items
        assert [product.id for product in found.products] == sorted(sold[title] for title in titles_found), text

"""Pictures of the demo partners and products, to which the demo data of the partners service refers."""

import hashlib
import re

from services.gateway.adapters.picture_registries import PARTNER_PATHS, PRODUCT_PATHS
from services.gateway.entrypoints.commands import demo_data
from services.partners.entrypoints.commands.demo_data import PARTNERS, PRODUCTS
from services.runtime.outbound.images import OUTPUT_MEDIA_TYPE, OUTPUT_SIZE_PX, ImageNormaliser

PICTURE_PATTERN = r"[A-Za-z0-9_-]{32}[.][0-9a-f]{64}"
"""Pattern of the path parameter in the contract."""


async def test_stored_pictures_are_those_of_the_demo_catalog() -> None:
    stored: dict[str, bytes] = {}

    async def put(name: str, content: bytes, media_type: str) -> None:
        if name in stored:
            raise FileExistsError(name)
        assert media_type == OUTPUT_MEDIA_TYPE
        stored[name] = content

    for _ in range(2):
        await demo_data.save_pictures(put)
    product_names = {PRODUCT_PATHS.get_object_name(str(product.picture_url)) for product in PRODUCTS}
    partner_names = {PARTNER_PATHS.get_object_name(partner["picture_url"]) for partner in PARTNERS}
    assert product_names | partner_names == stored.keys()
    for name, content in stored.items():
        assert re.fullmatch(f"(partners|products)/{PICTURE_PATTERN}", name)
        assert name.endswith(hashlib.sha256(content).hexdigest())


async def test_pictures_are_valid_images_of_the_size_of_uploads() -> None:
    normaliser = ImageNormaliser()
    try:
        for _, content in demo_data.iter_pictures():
            assert (await normaliser.normalise(content, demo_data.PICTURE_MEDIA_TYPE)).content
            assert len(content) < 16_384
    finally:
        normaliser.close()
    assert OUTPUT_SIZE_PX == 400

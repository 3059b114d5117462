"""Written by `make generate` from api-specs/proto. Do not edit."""

from abc import abstractmethod
from collections.abc import Callable

from generated.proto.delivery.partners.v1 import (
    CheckProductsRequest,
    CheckProductsResponse,
    CreatePartnerRequest,
    CreatePartnerResponse,
    CreateProductRequest,
    CreateProductResponse,
    DeleteProductRequest,
    DeleteProductResponse,
    DisablePartnerRequest,
    DisablePartnerResponse,
    GetPartnerRequest,
    GetPartnerResponse,
    GetProductRequest,
    GetProductResponse,
    HandleReadyCallbackRequest,
    HandleReadyCallbackResponse,
    ListCatalogRequest,
    ListCatalogResponse,
    ListPartnerCallsRequest,
    ListPartnerCallsResponse,
    ListPartnerPicturesRequest,
    ListPartnerPicturesResponse,
    ListPartnerProductsRequest,
    ListPartnerProductsResponse,
    ListPartnersRequest,
    ListPartnersResponse,
    ListProductPicturesRequest,
    ListProductPicturesResponse,
    ListProductsRequest,
    ListProductsResponse,
    RemoveAvailabilityRequest,
    RemoveAvailabilityResponse,
    RemoveOpeningHoursRequest,
    RemoveOpeningHoursResponse,
    ReplayPartnerCallRequest,
    ReplayPartnerCallResponse,
    RotatePartnerSecretRequest,
    RotatePartnerSecretResponse,
    SetAvailabilityRequest,
    SetAvailabilityResponse,
    SetOpeningHoursRequest,
    SetOpeningHoursResponse,
    SetPartnerPictureRequest,
    SetPartnerPictureResponse,
    SetProductPictureRequest,
    SetProductPictureResponse,
    UpdatePartnerRequest,
    UpdatePartnerResponse,
    UpdateProductRequest,
    UpdateProductResponse,
)
from services.runtime.core.principal import Principal
from services.runtime.rpc.codec import PreEncoded, Wire
from services.runtime.rpc.method import Idempotency, Method
from services.runtime.rpc.servicer import Servicer
from services.runtime.rpc.stub import Stub

LIST_CATALOG: Method[ListCatalogRequest, ListCatalogResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListCatalog",
    attribute="list_catalog",
    request=ListCatalogRequest,
    response=ListCatalogResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "q": {"maxLength": 100, "minLength": 1, "pattern": "^[^\\x00]*$", "type": "string"},
            "category": {"maxLength": 50, "minLength": 1, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


CHECK_PRODUCTS: Method[CheckProductsRequest, CheckProductsResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="CheckProducts",
    attribute="check_products",
    request=CheckProductsRequest,
    response=CheckProductsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "items": {
                "items": {
                    "properties": {
                        "product_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
                        "quantity": {"format": "int32", "maximum": 99, "minimum": 1, "type": "integer"},
                    },
                    "required": ["product_id", "quantity"],
                    "x-implicit-presence": [],
                }
            }
        },
        "required": [],
        "x-implicit-presence": ["items"],
    },
)


SET_PRODUCT_PICTURE: Method[SetProductPictureRequest, SetProductPictureResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="SetProductPicture",
    attribute="set_product_picture",
    request=SetProductPictureRequest,
    response=SetProductPictureResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={},
)


LIST_PRODUCT_PICTURES: Method[ListProductPicturesRequest, ListProductPicturesResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListProductPictures",
    attribute="list_product_pictures",
    request=ListProductPicturesRequest,
    response=ListProductPicturesResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={},
)


SET_PARTNER_PICTURE: Method[SetPartnerPictureRequest, SetPartnerPictureResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="SetPartnerPicture",
    attribute="set_partner_picture",
    request=SetPartnerPictureRequest,
    response=SetPartnerPictureResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={},
)


LIST_PARTNER_PICTURES: Method[ListPartnerPicturesRequest, ListPartnerPicturesResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListPartnerPictures",
    attribute="list_partner_pictures",
    request=ListPartnerPicturesRequest,
    response=ListPartnerPicturesResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={},
)


SET_OPENING_HOURS: Method[SetOpeningHoursRequest, SetOpeningHoursResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="SetOpeningHours",
    attribute="set_opening_hours",
    request=SetOpeningHoursRequest,
    response=SetOpeningHoursResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "time_zone": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_+/-]+$", "type": "string"},
            "periods": {
                "minItems": 1,
                "maxItems": 28,
                "items": {
                    "properties": {
                        "opens": {"maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "type": "string"},
                        "closes": {"maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "type": "string"},
                    },
                    "required": ["closes", "opens"],
                    "x-implicit-presence": [],
                },
            },
        },
        "required": ["partner_id", "periods", "time_zone"],
        "x-implicit-presence": [],
    },
)


REMOVE_OPENING_HOURS: Method[RemoveOpeningHoursRequest, RemoveOpeningHoursResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="RemoveOpeningHours",
    attribute="remove_opening_hours",
    request=RemoveOpeningHoursRequest,
    response=RemoveOpeningHoursResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"}},
        "required": ["partner_id"],
        "x-implicit-presence": [],
    },
)


LIST_PARTNER_PRODUCTS: Method[ListPartnerProductsRequest, ListPartnerProductsResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListPartnerProducts",
    attribute="list_partner_products",
    request=ListPartnerProductsRequest,
    response=ListPartnerProductsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "category": {"maxLength": 50, "minLength": 1, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "type": "string"},
        },
        "required": ["partner_id"],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


CREATE_PARTNER: Method[CreatePartnerRequest, CreatePartnerResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="CreatePartner",
    attribute="create_partner",
    request=CreatePartnerRequest,
    response=CreatePartnerResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "title": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "brand": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "phone": {"pattern": "^\\+[1-9][0-9]{6,14}$", "type": "string"},
            "email": {"format": "email", "maxLength": 254, "type": "string"},
            "address": {
                "maxLength": 200,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "api_url": {
                "format": "uri",
                "maxLength": 500,
                "minLength": 8,
                "pattern": "^https?://[\\x21\\x22\\x24-\\x3e\\x41-\\x7e]+$",
                "type": "string",
            },
            "verified": {"type": "boolean"},
            "enabled": {"type": "boolean"},
            "idempotency_key": {"pattern": "^[\\x21-\\x7e]{1,64}$", "type": "string"},
            "picture_url": {"format": "uri", "maxLength": 500, "pattern": "^https://[\\x21-\\x7e]+$", "type": "string"},
            "delivery_fee": {"format": "int64", "maximum": 1000000000, "minimum": 0, "type": "integer"},
            "delivery_fee_currency": {"pattern": "^[A-Z]{3}$", "type": "string"},
        },
        "required": ["address", "api_url", "brand", "email", "enabled", "phone", "title", "verified"],
        "x-implicit-presence": [],
    },
)


LIST_PARTNERS: Method[ListPartnersRequest, ListPartnersResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListPartners",
    attribute="list_partners",
    request=ListPartnersRequest,
    response=ListPartnersResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


GET_PARTNER: Method[GetPartnerRequest, GetPartnerResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="GetPartner",
    attribute="get_partner",
    request=GetPartnerRequest,
    response=GetPartnerResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"}},
        "required": ["partner_id"],
        "x-implicit-presence": [],
    },
)


UPDATE_PARTNER: Method[UpdatePartnerRequest, UpdatePartnerResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="UpdatePartner",
    attribute="update_partner",
    request=UpdatePartnerRequest,
    response=UpdatePartnerResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "title": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "brand": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "phone": {"pattern": "^\\+[1-9][0-9]{6,14}$", "type": "string"},
            "email": {"format": "email", "maxLength": 254, "type": "string"},
            "address": {
                "maxLength": 200,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "api_url": {
                "format": "uri",
                "maxLength": 500,
                "minLength": 8,
                "pattern": "^https?://[\\x21\\x22\\x24-\\x3e\\x41-\\x7e]+$",
                "type": "string",
            },
            "verified": {"type": "boolean"},
            "enabled": {"type": "boolean"},
            "picture_url": {"format": "uri", "maxLength": 500, "pattern": "^https://[\\x21-\\x7e]+$", "type": "string"},
            "delivery_fee": {"format": "int64", "maximum": 1000000000, "minimum": 0, "type": "integer"},
            "delivery_fee_currency": {"pattern": "^[A-Z]{3}$", "type": "string"},
            "remove": {"items": {"enum": ["picture_url"]}},
        },
        "required": ["partner_id"],
        "x-implicit-presence": ["remove"],
    },
)


DISABLE_PARTNER: Method[DisablePartnerRequest, DisablePartnerResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="DisablePartner",
    attribute="disable_partner",
    request=DisablePartnerRequest,
    response=DisablePartnerResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"}},
        "required": ["partner_id"],
        "x-implicit-presence": [],
    },
)


ROTATE_PARTNER_SECRET: Method[RotatePartnerSecretRequest, RotatePartnerSecretResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="RotatePartnerSecret",
    attribute="rotate_partner_secret",
    request=RotatePartnerSecretRequest,
    response=RotatePartnerSecretResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "idempotency_key": {"pattern": "^[\\x21-\\x7e]{1,64}$", "type": "string"},
        },
        "required": ["partner_id"],
        "x-implicit-presence": [],
    },
)


CREATE_PRODUCT: Method[CreateProductRequest, CreateProductResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="CreateProduct",
    attribute="create_product",
    request=CreateProductRequest,
    response=CreateProductResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "title": {
                "maxLength": 200,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "description": {"maxLength": 2000, "pattern": "^[^\\x00]*$", "type": "string"},
            "picture_url": {"format": "uri", "maxLength": 500, "pattern": "^https://[\\x21-\\x7e]+$", "type": "string"},
            "idempotency_key": {"pattern": "^[\\x21-\\x7e]{1,64}$", "type": "string"},
            "category": {"maxLength": 50, "minLength": 1, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "type": "string"},
        },
        "required": ["description", "title"],
        "x-implicit-presence": [],
    },
)


LIST_PRODUCTS: Method[ListProductsRequest, ListProductsResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListProducts",
    attribute="list_products",
    request=ListProductsRequest,
    response=ListProductsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


GET_PRODUCT: Method[GetProductRequest, GetProductResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="GetProduct",
    attribute="get_product",
    request=GetProductRequest,
    response=GetProductResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"product_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"}},
        "required": ["product_id"],
        "x-implicit-presence": [],
    },
)


UPDATE_PRODUCT: Method[UpdateProductRequest, UpdateProductResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="UpdateProduct",
    attribute="update_product",
    request=UpdateProductRequest,
    response=UpdateProductResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "product_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "title": {
                "maxLength": 200,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "description": {"maxLength": 2000, "pattern": "^[^\\x00]*$", "type": "string"},
            "picture_url": {"format": "uri", "maxLength": 500, "pattern": "^https://[\\x21-\\x7e]+$", "type": "string"},
            "category": {"maxLength": 50, "minLength": 1, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "type": "string"},
            "remove": {"items": {"enum": ["category", "picture_url"]}},
        },
        "required": ["product_id"],
        "x-implicit-presence": ["remove"],
    },
)


DELETE_PRODUCT: Method[DeleteProductRequest, DeleteProductResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="DeleteProduct",
    attribute="delete_product",
    request=DeleteProductRequest,
    response=DeleteProductResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {"product_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"}},
        "required": ["product_id"],
        "x-implicit-presence": [],
    },
)


SET_AVAILABILITY: Method[SetAvailabilityRequest, SetAvailabilityResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="SetAvailability",
    attribute="set_availability",
    request=SetAvailabilityRequest,
    response=SetAvailabilityResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "product_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "price": {"format": "int64", "maximum": 1000000000, "minimum": 0, "type": "integer"},
            "currency": {"pattern": "^[A-Z]{3}$", "type": "string"},
            "active": {"type": "boolean"},
        },
        "required": ["active", "currency", "partner_id", "price", "product_id"],
        "x-implicit-presence": [],
    },
)


REMOVE_AVAILABILITY: Method[RemoveAvailabilityRequest, RemoveAvailabilityResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="RemoveAvailability",
    attribute="remove_availability",
    request=RemoveAvailabilityRequest,
    response=RemoveAvailabilityResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "product_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
        },
        "required": ["partner_id", "product_id"],
        "x-implicit-presence": [],
    },
)


LIST_PARTNER_CALLS: Method[ListPartnerCallsRequest, ListPartnerCallsResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListPartnerCalls",
    attribute="list_partner_calls",
    request=ListPartnerCallsRequest,
    response=ListPartnerCallsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "page_size": {"format": "int32", "maximum": 100, "minimum": 1, "type": "integer"},
            "page_token": {"maxLength": 512, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"},
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


REPLAY_PARTNER_CALL: Method[ReplayPartnerCallRequest, ReplayPartnerCallResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ReplayPartnerCall",
    attribute="replay_partner_call",
    request=ReplayPartnerCallRequest,
    response=ReplayPartnerCallResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {"call_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["call_id"],
        "x-implicit-presence": [],
    },
)


HANDLE_READY_CALLBACK: Method[HandleReadyCallbackRequest, HandleReadyCallbackResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="HandleReadyCallback",
    attribute="handle_ready_callback",
    request=HandleReadyCallbackRequest,
    response=HandleReadyCallbackResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"partner_id": {"format": "int64", "maximum": 9007199254740991, "minimum": 1, "type": "integer"}},
        "required": ["partner_id"],
        "x-implicit-presence": [],
    },
)


class PartnersServicer(Servicer):
    """Partners (restaurants and shops), their catalog, and calls to and from their systems."""

    SERVICE = "delivery.partners.v1.PartnersService"
    METHODS = (
        LIST_CATALOG,
        CHECK_PRODUCTS,
        SET_PRODUCT_PICTURE,
        LIST_PRODUCT_PICTURES,
        SET_PARTNER_PICTURE,
        LIST_PARTNER_PICTURES,
        SET_OPENING_HOURS,
        REMOVE_OPENING_HOURS,
        LIST_PARTNER_PRODUCTS,
        CREATE_PARTNER,
        LIST_PARTNERS,
        GET_PARTNER,
        UPDATE_PARTNER,
        DISABLE_PARTNER,
        ROTATE_PARTNER_SECRET,
        CREATE_PRODUCT,
        LIST_PRODUCTS,
        GET_PRODUCT,
        UPDATE_PRODUCT,
        DELETE_PRODUCT,
        SET_AVAILABILITY,
        REMOVE_AVAILABILITY,
        LIST_PARTNER_CALLS,
        REPLAY_PARTNER_CALL,
        HANDLE_READY_CALLBACK,
    )

    @abstractmethod
    async def list_catalog(self, request: ListCatalogRequest) -> ListCatalogResponse | PreEncoded[ListCatalogResponse]:
        """Lists the verified, enabled partners that have products on sale."""

    @abstractmethod
    async def check_products(self, request: CheckProductsRequest) -> CheckProductsResponse:
        """Prices a basket at one partner.
        Errors: PARTNER_UNAVAILABLE, PARTNER_CLOSED, PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, TOTAL_MISMATCH.
        """

    @abstractmethod
    async def set_product_picture(
        self, request: SetProductPictureRequest, principal: Principal
    ) -> SetProductPictureResponse:
        """Sets the picture of a product. Errors: PRODUCT_NOT_FOUND, INVALID_REQUEST."""

    @abstractmethod
    async def list_product_pictures(self, request: ListProductPicturesRequest) -> ListProductPicturesResponse:
        """Lists the pictures of all products, by product id."""

    @abstractmethod
    async def set_partner_picture(
        self, request: SetPartnerPictureRequest, principal: Principal
    ) -> SetPartnerPictureResponse:
        """Sets the picture of a partner. Errors: PARTNER_NOT_FOUND, INVALID_REQUEST."""

    @abstractmethod
    async def list_partner_pictures(self, request: ListPartnerPicturesRequest) -> ListPartnerPicturesResponse:
        """Lists the pictures of all partners, by partner id."""

    @abstractmethod
    async def set_opening_hours(self, request: SetOpeningHoursRequest, principal: Principal) -> SetOpeningHoursResponse:
        """Sets the opening hours of a partner. Errors: PARTNER_NOT_FOUND, TIME_ZONE_UNKNOWN, PRECONDITION_FAILED."""

    @abstractmethod
    async def remove_opening_hours(
        self, request: RemoveOpeningHoursRequest, principal: Principal
    ) -> RemoveOpeningHoursResponse:
        """Removes the opening hours of a partner, which is then always open. Errors: PARTNER_NOT_FOUND."""

    @abstractmethod
    async def list_partner_products(
        self, request: ListPartnerProductsRequest
    ) -> ListPartnerProductsResponse | PreEncoded[ListPartnerProductsResponse]:
        """Lists the products on sale at a verified, enabled partner. Errors: PARTNER_NOT_FOUND."""

    @abstractmethod
    async def create_partner(
        self, request: CreatePartnerRequest, principal: Principal
    ) -> CreatePartnerResponse | PreEncoded[CreatePartnerResponse]:
        """Creates a partner and returns its webhook secret, once.
        With an idempotency key, a repeated request returns the first response again, without the secret.
        """

    @abstractmethod
    async def list_partners(
        self, request: ListPartnersRequest, principal: Principal
    ) -> ListPartnersResponse | PreEncoded[ListPartnersResponse]:
        """Lists all partners, by id."""

    @abstractmethod
    async def get_partner(self, request: GetPartnerRequest, principal: Principal) -> GetPartnerResponse:
        """Returns a partner. Errors: PARTNER_NOT_FOUND."""

    @abstractmethod
    async def update_partner(self, request: UpdatePartnerRequest, principal: Principal) -> UpdatePartnerResponse:
        """Updates the given fields of a partner. Errors: PARTNER_NOT_FOUND, PRECONDITION_FAILED."""

    @abstractmethod
    async def disable_partner(self, request: DisablePartnerRequest, principal: Principal) -> DisablePartnerResponse:
        """Stops taking orders for a partner. Errors: PARTNER_NOT_FOUND."""

    @abstractmethod
    async def rotate_partner_secret(
        self, request: RotatePartnerSecretRequest, principal: Principal
    ) -> RotatePartnerSecretResponse | PreEncoded[RotatePartnerSecretResponse]:
        """Replaces the webhook secret and returns the new one, once. The old one stays valid for 24 hours.
        Errors: PARTNER_NOT_FOUND.
        """

    @abstractmethod
    async def create_product(
        self, request: CreateProductRequest, principal: Principal
    ) -> CreateProductResponse | PreEncoded[CreateProductResponse]:
        """Creates a product. With an idempotency key, a repeated request returns the first response again."""

    @abstractmethod
    async def list_products(
        self, request: ListProductsRequest, principal: Principal
    ) -> ListProductsResponse | PreEncoded[ListProductsResponse]:
        """Lists all products, by id."""

    @abstractmethod
    async def get_product(self, request: GetProductRequest, principal: Principal) -> GetProductResponse:
        """Returns a product. Errors: PRODUCT_NOT_FOUND."""

    @abstractmethod
    async def update_product(self, request: UpdateProductRequest, principal: Principal) -> UpdateProductResponse:
        """Updates the given fields of a product. Errors: PRODUCT_NOT_FOUND, PRECONDITION_FAILED."""

    @abstractmethod
    async def delete_product(self, request: DeleteProductRequest, principal: Principal) -> DeleteProductResponse:
        """Deletes a product at all partners. Errors: PRODUCT_NOT_FOUND."""

    @abstractmethod
    async def set_availability(self, request: SetAvailabilityRequest, principal: Principal) -> SetAvailabilityResponse:
        """Sets the price of a product at a partner. Errors: PARTNER_NOT_FOUND, PRODUCT_NOT_FOUND."""

    @abstractmethod
    async def remove_availability(
        self, request: RemoveAvailabilityRequest, principal: Principal
    ) -> RemoveAvailabilityResponse:
        """Removes a product from a partner. Errors: PARTNER_NOT_FOUND, PRODUCT_NOT_FOUND."""

    @abstractmethod
    async def list_partner_calls(
        self, request: ListPartnerCallsRequest, principal: Principal
    ) -> ListPartnerCallsResponse | PreEncoded[ListPartnerCallsResponse]:
        """Lists the calls to partner systems, newest first."""

    @abstractmethod
    async def replay_partner_call(
        self, request: ReplayPartnerCallRequest, principal: Principal
    ) -> ReplayPartnerCallResponse:
        """Replays a call to a partner system. Errors: PARTNER_CALL_NOT_FOUND, PARTNER_CALL_CONFLICT."""

    @abstractmethod
    async def handle_ready_callback(self, request: HandleReadyCallbackRequest) -> HandleReadyCallbackResponse:
        """Verifies a partner's signed ready callback and publishes that the order is ready.
        The event is in the outbox when the call returns. A repeated webhook id changes nothing;
        with another report it is rejected.
        Errors: SIGNATURE_INVALID, INVALID_REQUEST, ORDER_NOT_FOUND, WEBHOOK_ID_REUSED.
        """


class PartnersStub(Stub):
    """Partners (restaurants and shops), their catalog, and calls to and from their systems."""

    METHODS = PartnersServicer.METHODS

    async def list_catalog[Page](
        self, request: ListCatalogRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the verified, enabled partners that have products on sale."""
        return await self.call_unary_wire(LIST_CATALOG, request, read, timeout)

    async def check_products(
        self, request: CheckProductsRequest, *, timeout: float | None = None
    ) -> CheckProductsResponse:
        """Prices a basket at one partner.
        Errors: PARTNER_UNAVAILABLE, PARTNER_CLOSED, PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, TOTAL_MISMATCH.
        """
        return await self.call_unary(CHECK_PRODUCTS, request, timeout)

    async def set_product_picture(
        self, request: SetProductPictureRequest, *, timeout: float | None = None
    ) -> SetProductPictureResponse:
        """Sets the picture of a product. Errors: PRODUCT_NOT_FOUND, INVALID_REQUEST."""
        return await self.call_unary(SET_PRODUCT_PICTURE, request, timeout)

    async def list_product_pictures(
        self, request: ListProductPicturesRequest, *, timeout: float | None = None
    ) -> ListProductPicturesResponse:
        """Lists the pictures of all products, by product id."""
        return await self.call_unary(LIST_PRODUCT_PICTURES, request, timeout)

    async def set_partner_picture(
        self, request: SetPartnerPictureRequest, *, timeout: float | None = None
    ) -> SetPartnerPictureResponse:
        """Sets the picture of a partner. Errors: PARTNER_NOT_FOUND, INVALID_REQUEST."""
        return await self.call_unary(SET_PARTNER_PICTURE, request, timeout)

    async def list_partner_pictures(
        self, request: ListPartnerPicturesRequest, *, timeout: float | None = None
    ) -> ListPartnerPicturesResponse:
        """Lists the pictures of all partners, by partner id."""
        return await self.call_unary(LIST_PARTNER_PICTURES, request, timeout)

    async def set_opening_hours(
        self, request: SetOpeningHoursRequest, *, timeout: float | None = None
    ) -> SetOpeningHoursResponse:
        """Sets the opening hours of a partner. Errors: PARTNER_NOT_FOUND, TIME_ZONE_UNKNOWN, PRECONDITION_FAILED."""
        return await self.call_unary(SET_OPENING_HOURS, request, timeout)

    async def remove_opening_hours(
        self, request: RemoveOpeningHoursRequest, *, timeout: float | None = None
    ) -> RemoveOpeningHoursResponse:
        """Removes the opening hours of a partner, which is then always open. Errors: PARTNER_NOT_FOUND."""
        return await self.call_unary(REMOVE_OPENING_HOURS, request, timeout)

    async def list_partner_products[Page](
        self, request: ListPartnerProductsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the products on sale at a verified, enabled partner. Errors: PARTNER_NOT_FOUND."""
        return await self.call_unary_wire(LIST_PARTNER_PRODUCTS, request, read, timeout)

    async def create_partner(
        self, request: CreatePartnerRequest, *, timeout: float | None = None
    ) -> CreatePartnerResponse:
        """Creates a partner and returns its webhook secret, once.
        With an idempotency key, a repeated request returns the first response again, without the secret.
        """
        return await self.call_unary(CREATE_PARTNER, request, timeout)

    async def list_partners[Page](
        self, request: ListPartnersRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists all partners, by id."""
        return await self.call_unary_wire(LIST_PARTNERS, request, read, timeout)

    async def get_partner(self, request: GetPartnerRequest, *, timeout: float | None = None) -> GetPartnerResponse:
        """Returns a partner. Errors: PARTNER_NOT_FOUND."""
        return await self.call_unary(GET_PARTNER, request, timeout)

    async def update_partner(
        self, request: UpdatePartnerRequest, *, timeout: float | None = None
    ) -> UpdatePartnerResponse:
        """Updates the given fields of a partner. Errors: PARTNER_NOT_FOUND, PRECONDITION_FAILED."""
        return await self.call_unary(UPDATE_PARTNER, request, timeout)

    async def disable_partner(
        self, request: DisablePartnerRequest, *, timeout: float | None = None
    ) -> DisablePartnerResponse:
        """Stops taking orders for a partner. Errors: PARTNER_NOT_FOUND."""
        return await self.call_unary(DISABLE_PARTNER, request, timeout)

    async def rotate_partner_secret(
        self, request: RotatePartnerSecretRequest, *, timeout: float | None = None
    ) -> RotatePartnerSecretResponse:
        """Replaces the webhook secret and returns the new one, once. The old one stays valid for 24 hours.
        Errors: PARTNER_NOT_FOUND.
        """
        return await self.call_unary(ROTATE_PARTNER_SECRET, request, timeout)

    async def create_product(
        self, request: CreateProductRequest, *, timeout: float | None = None
    ) -> CreateProductResponse:
        """Creates a product. With an idempotency key, a repeated request returns the first response again."""
        return await self.call_unary(CREATE_PRODUCT, request, timeout)

    async def list_products[Page](
        self, request: ListProductsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists all products, by id."""
        return await self.call_unary_wire(LIST_PRODUCTS, request, read, timeout)

    async def get_product(self, request: GetProductRequest, *, timeout: float | None = None) -> GetProductResponse:
        """Returns a product. Errors: PRODUCT_NOT_FOUND."""
        return await self.call_unary(GET_PRODUCT, request, timeout)

    async def update_product(
        self, request: UpdateProductRequest, *, timeout: float | None = None
    ) -> UpdateProductResponse:
        """Updates the given fields of a product. Errors: PRODUCT_NOT_FOUND, PRECONDITION_FAILED."""
        return await self.call_unary(UPDATE_PRODUCT, request, timeout)

    async def delete_product(
        self, request: DeleteProductRequest, *, timeout: float | None = None
    ) -> DeleteProductResponse:
        """Deletes a product at all partners. Errors: PRODUCT_NOT_FOUND."""
        return await self.call_unary(DELETE_PRODUCT, request, timeout)

    async def set_availability(
        self, request: SetAvailabilityRequest, *, timeout: float | None = None
    ) -> SetAvailabilityResponse:
        """Sets the price of a product at a partner. Errors: PARTNER_NOT_FOUND, PRODUCT_NOT_FOUND."""
        return await self.call_unary(SET_AVAILABILITY, request, timeout)

    async def remove_availability(
        self, request: RemoveAvailabilityRequest, *, timeout: float | None = None
    ) -> RemoveAvailabilityResponse:
        """Removes a product from a partner. Errors: PARTNER_NOT_FOUND, PRODUCT_NOT_FOUND."""
        return await self.call_unary(REMOVE_AVAILABILITY, request, timeout)

    async def list_partner_calls[Page](
        self, request: ListPartnerCallsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the calls to partner systems, newest first."""
        return await self.call_unary_wire(LIST_PARTNER_CALLS, request, read, timeout)

    async def replay_partner_call(
        self, request: ReplayPartnerCallRequest, *, timeout: float | None = None
    ) -> ReplayPartnerCallResponse:
        """Replays a call to a partner system. Errors: PARTNER_CALL_NOT_FOUND, PARTNER_CALL_CONFLICT."""
        return await self.call_unary(REPLAY_PARTNER_CALL, request, timeout)

    async def handle_ready_callback(
        self, request: HandleReadyCallbackRequest, *, timeout: float | None = None
    ) -> HandleReadyCallbackResponse:
        """Verifies a partner's signed ready callback and publishes that the order is ready.
        The event is in the outbox when the call returns. A repeated webhook id changes nothing;
        with another report it is rejected.
        Errors: SIGNATURE_INVALID, INVALID_REQUEST, ORDER_NOT_FOUND, WEBHOOK_ID_REUSED.
        """
        return await self.call_unary(HANDLE_READY_CALLBACK, request, timeout)

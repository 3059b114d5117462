"""Written by `make generate` from api-specs/proto. Do not edit."""

from abc import abstractmethod
from collections.abc import Callable

from generated.proto.delivery.notifications.v1 import (
    CreateAgentRequest,
    CreateAgentResponse,
    GetAgentRequest,
    GetAgentResponse,
    ListAgentsRequest,
    ListAgentsResponse,
    ListDevicesRequest,
    ListDevicesResponse,
    ListMyNotificationsRequest,
    ListMyNotificationsResponse,
    ListNotificationsRequest,
    ListNotificationsResponse,
    RegisterDeviceRequest,
    RegisterDeviceResponse,
    RemoveDeviceRequest,
    RemoveDeviceResponse,
    UpdateAgentRequest,
    UpdateAgentResponse,
)
from services.runtime.core.principal import Principal
from services.runtime.rpc.codec import PreEncoded, Wire
from services.runtime.rpc.method import Idempotency, Method
from services.runtime.rpc.servicer import Servicer
from services.runtime.rpc.stub import Stub

LIST_MY_NOTIFICATIONS: Method[ListMyNotificationsRequest, ListMyNotificationsResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="ListMyNotifications",
    attribute="list_my_notifications",
    request=ListMyNotificationsRequest,
    response=ListMyNotificationsResponse,
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


LIST_DEVICES: Method[ListDevicesRequest, ListDevicesResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="ListDevices",
    attribute="list_devices",
    request=ListDevicesRequest,
    response=ListDevicesResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={},
)


REGISTER_DEVICE: Method[RegisterDeviceRequest, RegisterDeviceResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="RegisterDevice",
    attribute="register_device",
    request=RegisterDeviceRequest,
    response=RegisterDeviceResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {
            "token": {"maxLength": 512, "minLength": 1, "pattern": "^[\\x21-\\x7e]+$", "type": "string"},
            "name": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
        },
        "required": ["token"],
        "x-implicit-presence": [],
    },
)


REMOVE_DEVICE: Method[RemoveDeviceRequest, RemoveDeviceResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="RemoveDevice",
    attribute="remove_device",
    request=RemoveDeviceRequest,
    response=RemoveDeviceResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {"device_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["device_id"],
        "x-implicit-presence": [],
    },
)


LIST_NOTIFICATIONS: Method[ListNotificationsRequest, ListNotificationsResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="ListNotifications",
    attribute="list_notifications",
    request=ListNotificationsRequest,
    response=ListNotificationsResponse,
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
            "user_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "agent_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "order_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
        },
        "required": [],
        "x-implicit-presence": ["page_size", "page_token"],
    },
)


CREATE_AGENT: Method[CreateAgentRequest, CreateAgentResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="CreateAgent",
    attribute="create_agent",
    request=CreateAgentRequest,
    response=CreateAgentResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "name": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "priority": {"format": "int32", "maximum": 10, "minimum": 1, "type": "integer"},
            "providers": {"minItems": 1, "maxItems": 3, "uniqueItems": True},
            "preferences": {
                "properties": {
                    "quiet_hours": {
                        "properties": {
                            "start": {"maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "type": "string"},
                            "end": {"maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "type": "string"},
                        },
                        "required": ["end", "start"],
                        "x-implicit-presence": [],
                    },
                    "ttl_s": {"format": "int32", "maximum": 2419200, "minimum": 1, "type": "integer"},
                    "collapse": {"type": "boolean"},
                },
                "required": ["ttl_s"],
                "x-implicit-presence": [],
            },
            "enabled": {"type": "boolean"},
            "keys": {
                "properties": {
                    "fcm": {"maxLength": 8192, "minLength": 2, "type": "string"},
                    "apns": {
                        "properties": {
                            "key_id": {"pattern": "^[A-Z0-9]{10}$", "type": "string"},
                            "team_id": {"pattern": "^[A-Z0-9]{10}$", "type": "string"},
                            "topic": {"maxLength": 128, "pattern": "^[A-Za-z0-9.-]+$", "type": "string"},
                            "private_key": {"maxLength": 4096, "pattern": "^[^\\x00]*$", "type": "string"},
                        },
                        "required": ["key_id", "private_key", "team_id", "topic"],
                        "x-implicit-presence": [],
                    },
                },
                "required": [],
                "x-implicit-presence": [],
            },
            "idempotency_key": {"pattern": "^[\\x21-\\x7e]{1,64}$", "type": "string"},
        },
        "required": ["enabled", "name", "preferences", "priority", "providers"],
        "x-implicit-presence": [],
    },
)


LIST_AGENTS: Method[ListAgentsRequest, ListAgentsResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="ListAgents",
    attribute="list_agents",
    request=ListAgentsRequest,
    response=ListAgentsResponse,
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


GET_AGENT: Method[GetAgentRequest, GetAgentResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="GetAgent",
    attribute="get_agent",
    request=GetAgentRequest,
    response=GetAgentResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=3,
    constraints={
        "properties": {"agent_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"}},
        "required": ["agent_id"],
        "x-implicit-presence": [],
    },
)


UPDATE_AGENT: Method[UpdateAgentRequest, UpdateAgentResponse] = Method(
    service="delivery.notifications.v1.NotificationsService",
    name="UpdateAgent",
    attribute="update_agent",
    request=UpdateAgentRequest,
    response=UpdateAgentResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENCY_UNKNOWN,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    max_attempts=1,
    constraints={
        "properties": {
            "agent_id": {"maxLength": 64, "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$", "type": "string"},
            "if_match": {"maxLength": 4096, "type": "string"},
            "name": {
                "maxLength": 100,
                "minLength": 1,
                "pattern": "^[^\\S\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$",
                "type": "string",
            },
            "priority": {"format": "int32", "maximum": 10, "minimum": 1, "type": "integer"},
            "providers": {"minItems": 1, "maxItems": 3, "uniqueItems": True},
            "preferences": {
                "properties": {
                    "quiet_hours": {
                        "properties": {
                            "start": {"maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "type": "string"},
                            "end": {"maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "type": "string"},
                        },
                        "required": ["end", "start"],
                        "x-implicit-presence": [],
                    },
                    "ttl_s": {"format": "int32", "maximum": 2419200, "minimum": 1, "type": "integer"},
                    "collapse": {"type": "boolean"},
                    "remove": {"items": {"enum": ["collapse", "quiet_hours"]}},
                },
                "required": [],
                "x-implicit-presence": ["remove"],
            },
            "enabled": {"type": "boolean"},
            "keys": {
                "properties": {
                    "fcm": {"maxLength": 8192, "minLength": 2, "type": "string"},
                    "apns": {
                        "properties": {
                            "key_id": {"pattern": "^[A-Z0-9]{10}$", "type": "string"},
                            "team_id": {"pattern": "^[A-Z0-9]{10}$", "type": "string"},
                            "topic": {"maxLength": 128, "pattern": "^[A-Za-z0-9.-]+$", "type": "string"},
                            "private_key": {"maxLength": 4096, "pattern": "^[^\\x00]*$", "type": "string"},
                        },
                        "required": ["key_id", "private_key", "team_id", "topic"],
                        "x-implicit-presence": [],
                    },
                    "remove": {"items": {"enum": ["apns", "fcm"]}},
                },
                "required": [],
                "x-implicit-presence": ["remove"],
            },
        },
        "required": ["agent_id"],
        "x-implicit-presence": ["providers"],
    },
)


class NotificationsServicer(Servicer):
    """Push notifications and mail."""

    SERVICE = "delivery.notifications.v1.NotificationsService"
    METHODS = (
        LIST_MY_NOTIFICATIONS,
        LIST_DEVICES,
        REGISTER_DEVICE,
        REMOVE_DEVICE,
        LIST_NOTIFICATIONS,
        CREATE_AGENT,
        LIST_AGENTS,
        GET_AGENT,
        UPDATE_AGENT,
    )

    @abstractmethod
    async def list_my_notifications(
        self, request: ListMyNotificationsRequest, principal: Principal
    ) -> ListMyNotificationsResponse | PreEncoded[ListMyNotificationsResponse]:
        """Lists the calling user's notifications, newest first."""

    @abstractmethod
    async def list_devices(
        self, request: ListDevicesRequest, principal: Principal
    ) -> ListDevicesResponse | PreEncoded[ListDevicesResponse]:
        """Lists the registered devices of the calling user, the latest first."""

    @abstractmethod
    async def register_device(self, request: RegisterDeviceRequest, principal: Principal) -> RegisterDeviceResponse:
        """Registers a device of the calling user for push notifications. Errors: TOKEN_REVOKED."""

    @abstractmethod
    async def remove_device(self, request: RemoveDeviceRequest, principal: Principal) -> RemoveDeviceResponse:
        """Removes a device of the calling user. Errors: DEVICE_NOT_FOUND."""

    @abstractmethod
    async def list_notifications(
        self, request: ListNotificationsRequest, principal: Principal
    ) -> ListNotificationsResponse | PreEncoded[ListNotificationsResponse]:
        """Lists the notifications of all users, newest first; for admins."""

    @abstractmethod
    async def create_agent(
        self, request: CreateAgentRequest, principal: Principal
    ) -> CreateAgentResponse | PreEncoded[CreateAgentResponse]:
        """Creates a notification agent; for admins."""

    @abstractmethod
    async def list_agents(
        self, request: ListAgentsRequest, principal: Principal
    ) -> ListAgentsResponse | PreEncoded[ListAgentsResponse]:
        """Lists notification agents in the order of their ids; for admins."""

    @abstractmethod
    async def get_agent(self, request: GetAgentRequest, principal: Principal) -> GetAgentResponse:
        """Returns a notification agent; for admins."""

    @abstractmethod
    async def update_agent(self, request: UpdateAgentRequest, principal: Principal) -> UpdateAgentResponse:
        """Updates a notification agent; for admins."""


class NotificationsStub(Stub):
    """Push notifications and mail."""

    METHODS = NotificationsServicer.METHODS

    async def list_my_notifications[Page](
        self, request: ListMyNotificationsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the calling user's notifications, newest first."""
        return await self.call_unary_wire(LIST_MY_NOTIFICATIONS, request, read, timeout)

    async def list_devices[Page](
        self, request: ListDevicesRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the registered devices of the calling user, the latest first."""
        return await self.call_unary_wire(LIST_DEVICES, request, read, timeout)

    async def register_device(
        self, request: RegisterDeviceRequest, *, timeout: float | None = None
    ) -> RegisterDeviceResponse:
        """Registers a device of the calling user for push notifications. Errors: TOKEN_REVOKED."""
        return await self.call_unary(REGISTER_DEVICE, request, timeout)

    async def remove_device(
        self, request: RemoveDeviceRequest, *, timeout: float | None = None
    ) -> RemoveDeviceResponse:
        """Removes a device of the calling user. Errors: DEVICE_NOT_FOUND."""
        return await self.call_unary(REMOVE_DEVICE, request, timeout)

    async def list_notifications[Page](
        self, request: ListNotificationsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists the notifications of all users, newest first; for admins."""
        return await self.call_unary_wire(LIST_NOTIFICATIONS, request, read, timeout)

    async def create_agent(self, request: CreateAgentRequest, *, timeout: float | None = None) -> CreateAgentResponse:
        """Creates a notification agent; for admins."""
        return await self.call_unary(CREATE_AGENT, request, timeout)

    async def list_agents[Page](
        self, request: ListAgentsRequest, read: Callable[[Wire], Page], *, timeout: float | None = None
    ) -> Page:
        """Lists notification agents in the order of their ids; for admins."""
        return await self.call_unary_wire(LIST_AGENTS, request, read, timeout)

    async def get_agent(self, request: GetAgentRequest, *, timeout: float | None = None) -> GetAgentResponse:
        """Returns a notification agent; for admins."""
        return await self.call_unary(GET_AGENT, request, timeout)

    async def update_agent(self, request: UpdateAgentRequest, *, timeout: float | None = None) -> UpdateAgentResponse:
        """Updates a notification agent; for admins."""
        return await self.call_unary(UPDATE_AGENT, request, timeout)

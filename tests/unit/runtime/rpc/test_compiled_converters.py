"""Compiled converters of one class, with well-known types of protobuf in place of the contract's messages."""

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.runtime.rpc.compiled_converters import FieldConverter, compile_decoder, compile_encoder

UNKNOWN_FIELDS = b"\x98\x06\x07"  # field 99 with the value 7


class Sample:
    """Class with the attributes that the codec sets on a betterproto2 message."""

    def __init__(self, **values: Any) -> None:
        self._unknown_fields = b""
        self.__dict__.update(values)


SECONDS = FieldConverter("seconds_since_epoch", "seconds", False, lambda value: value + 1, lambda value: value - 1)
NANOS = FieldConverter("nanos", "nanos", False, None, None)
LABEL = FieldConverter("label_", "label", True, None, None)


def test_decoder_fills_attributes_without_the_constructor() -> None:
    message = compile_decoder(Sample, [SECONDS, NANOS])(Timestamp(seconds=4, nanos=2))
    assert type(message) is Sample
    assert vars(message) == {"seconds_since_epoch": 5, "nanos": 2, "_unknown_fields": b""}


def test_decoder_sets_unknown_fields_without_the_known_ones() -> None:
    wire = Timestamp.FromString(Timestamp(seconds=4).SerializeToString() + UNKNOWN_FIELDS)
    assert compile_decoder(Sample, [NANOS])(wire)._unknown_fields == UNKNOWN_FIELDS


def test_decoder_returns_none_for_unset_field_with_presence() -> None:
    decode = compile_decoder(Sample, [LABEL])
    assert decode(FieldDescriptorProto()).label_ is None
    assert decode(FieldDescriptorProto(label=FieldDescriptorProto.LABEL_REPEATED)).label_ == 3


def test_encoder_returns_constructor_arguments() -> None:
    message = Sample(seconds_since_epoch=5, nanos=2)
    assert compile_encoder(Timestamp, [SECONDS, NANOS])(message) == {"seconds": 4, "nanos": 2}


def test_encoder_passes_none_unchanged() -> None:
    assert compile_encoder(Timestamp, [SECONDS])(Sample(seconds_since_epoch=None)) == {"seconds": None}


def test_encoder_returns_wire_message_with_unknown_fields() -> None:
    wire = compile_encoder(Timestamp, [NANOS])(Sample(nanos=2, _unknown_fields=UNKNOWN_FIELDS))
    assert isinstance(wire, Message)
    assert wire.SerializeToString() == Timestamp(nanos=2).SerializeToString() + UNKNOWN_FIELDS

"""Mutation test of the fuzz and error tests (`make test-fuzz-mutations`): they must find each injected defect."""

import sys

from tests.mutation import DetectableMutation, run_mutations

PORT_OFFSET = 6000
FUZZ_TEST = "tests/fuzz/test_rest.py::test_operations_conform_to_contract"
ERROR_TESTS = "tests/e2e/test_common_errors.py"

MUTATIONS = (
    DetectableMutation(
        "the generator omits role checks, which its own lint must find",
        "codegen/envoy/authorization.py",
        {"    if not roles:\n": "    if True:\n"},
    ),
    DetectableMutation(
        "Envoy does not check roles",
        "deploy/render_bootstrap.py",
        {"for key, value in values.items()})": "for key, value in values.items()}).replace('\"admin\"', '\".+\"')"},
        f"{ERROR_TESTS}::test_operation_with_wrong_role_returns_403",
    ),
    DetectableMutation(
        "an invalid page token has an undocumented response",
        "services/runtime/core/pagination.py",
        {"return ApiError(Reason.INVALID_REQUEST, errors": "return ApiError(Reason.PRECONDITION_FAILED, errors"},
        FUZZ_TEST,
        "Undocumented status code",
    ),
    DetectableMutation(
        "request bodies are not validated",
        "services/runtime/core/json_schema.py",
        {"not self._validator.is_valid(body)": "not isinstance(body, dict) and not self._validator.is_valid(body)"},
        FUZZ_TEST,
        "Schema-violating request accepted",
    ),
    DetectableMutation(
        "an order is returned to any user with its id",
        "services/orders/domain/orders.py",
        {'return role == "admin" or user_id in (order.customer_id, order.deliverer_id)': "return True"},
        f"{ERROR_TESTS}::test_order_of_other_user_returns_404",
    ),
)

if __name__ == "__main__":
    sys.exit(run_mutations(MUTATIONS, PORT_OFFSET))
